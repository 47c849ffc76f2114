import { copy, ensureDir, exists } from "@std/fs";
import { basename, dirname, extname, join, relative, resolve } from "@std/path";
import { UsageError } from "../../errors/mod.ts";
import { findCaches, runDeno } from "../../tools/deno.ts";
import { withFlags } from "../project/load.ts";
import { findProject } from "../project/project.ts";
import { SDK_NAME, sdkFolder, sdkUrl } from "../project/sdk.ts";

/** A program in a folder of its own. */
export interface Bundle {
  /** What Deno runs, in the folder. */
  readonly main: string;
  /** The program's name. */
  readonly name: string;
}

/** The command line, from the folder of the SDK. */
const OWN_MAIN = "src/cli/main";
const WORKER = "src/tools/hash/digest_worker";

/**
 * Puts stowage itself into a folder: its command line, what configs import, what threads run.
 *
 * @param folder The folder, which is there.
 * @param signal Ends it.
 * @returns The command line.
 * @throws {UsageError} If this stowage is not on this disk.
 */
export async function bundleStowage(folder: string, signal: AbortSignal): Promise<Bundle> {
  const own = sdkFolder();
  if (own === undefined) {
    throw new UsageError("Cannot compile from a stowage that is not on this disk", {
      hint: "install it, or run it from a checkout",
    });
  }
  const isBundled = !sdkUrl().endsWith(".ts");
  if (isBundled) {
    await copy(own, folder, { overwrite: true });
    await Deno.remove(join(folder, "deno")).catch(() => {}); // of this machine
  } else {
    const entries = ["mod", OWN_MAIN, WORKER].map((entry) => join(own, `${entry}.ts`));
    await runBundler(entries, folder, own, signal);
    const worker = `import "./${WORKER}.js";\n`;
    await Deno.writeTextFile(join(folder, `${basename(WORKER)}.js`), worker);
    await Deno.writeTextFile(
      join(folder, "import_map.json"),
      JSON.stringify({ imports: { [SDK_NAME]: "./mod.js" } }),
    );
  }
  return { main: `${OWN_MAIN}.js`, name: "stowage" };
}

/**
 * Puts a script into a folder, beside stowage, with all that it imports.
 *
 * @param script The script.
 * @param included Further modules and files that it loads when it runs, all in its folder.
 * @param folder The folder, with stowage in it.
 * @param signal Ends it.
 * @returns The program.
 * @throws {UsageError} If the script cannot be bundled.
 */
export async function bundleScript(
  script: string,
  included: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<Bundle> {
  const file = resolve(script);
  const root = dirname(file);
  const name = basename(file, extname(file));
  const files = new Set(included.map((path) => resolve(path)));
  for (const path of files) {
    if (!relative(root, path).startsWith("..")) continue;
    throw new UsageError(`Cannot include "${path}": it is not in the folder of the script`);
  }
  const isModule = (path: string) => /\.[cm]?[jt]sx?$/.test(path);
  for (;;) {
    await runBundler([file, ...[...files].filter(isModule)], join(folder, "app"), root, signal);
    const found = await findWorkers(join(folder, "app"), root);
    if (found.every((path) => files.has(path))) break;
    for (const path of found) files.add(path);
  }
  for (const path of files) {
    const to = join(folder, "app", relative(root, path));
    await ensureDir(dirname(to));
    // A thread's program is asked for by the name that it has in the script.
    const from = isModule(path) ? to.replace(/\.[cm]?[jt]sx?$/, ".js") : path;
    if (from !== to) await copy(from, to, { overwrite: true });
  }
  // Where the script has stowage in itself, that asks for its threads here.
  await Deno.writeTextFile(
    join(folder, "app", `${basename(WORKER)}.js`),
    `import "../${WORKER}.js";\n`,
  );
  return { main: `app/${name}.js`, name };
}

/** The programs of threads that a bundle starts from the script's own folder. */
async function findWorkers(folder: string, root: string): Promise<string[]> {
  const start = /new Worker\(\s*new URL\(\s*"(\.\/[^"]+)",\s*import\.meta\.url\s*\)/g;
  const found: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile || !name.endsWith(".js")) continue;
    for (const [, path = ""] of (await Deno.readTextFile(join(folder, name))).matchAll(start)) {
      const file = join(root, path);
      if (await Deno.stat(file).then((info) => info.isFile, () => false)) found.push(file);
    }
  }
  return found;
}

/** Bundles modules of one project with `deno bundle`. */
async function runBundler(
  entries: readonly string[],
  folder: string,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const project = await findProject(root);
  await withFlags(project, async (deno, flags) => {
    await lendBundler(deno);
    const how = ["--quiet", "--platform=deno", "--format=esm", "--code-splitting"];
    const args = ["bundle", ...how, "--outdir", folder, ...flags, ...entries];
    const { code, stderr } = await runDeno(deno, args, { cwd: root, signal });
    signal.throwIfAborted();
    if (code === 0) return;
    const isMissing = /esbuild.*(download|fetch|request)|registry\.npmjs\.org/is.test(stderr);
    throw new UsageError(`Cannot bundle "${entries[0]}": ${stderr.trim()}`, {
      hint: isMissing
        ? "deno bundle needs esbuild from npm once: try again with a network"
        : undefined,
    });
  });
}

/** An installed stowage brings the bundler along that Deno would download. */
async function lendBundler(deno: string): Promise<void> {
  const lent = join(sdkFolder() ?? "", "bundler");
  if (!await exists(lent)) return;
  const downloads = join((await findCaches(deno)).denoDir, "dl");
  await ensureDir(downloads);
  for await (const { name } of Deno.readDir(lent)) {
    const to = join(downloads, name);
    if (await exists(to)) continue;
    const part = `${to}.${crypto.randomUUID()}`;
    await copy(join(lent, name), part);
    await Deno.rename(part, to).catch(() => Deno.remove(part, { recursive: true })); // a race
  }
}
