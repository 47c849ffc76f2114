import { join } from "@std/path";
import { UsageError } from "../../errors/mod.ts";
import { runDeno } from "../../tools/deno.ts";
import { isPlainDeno, packFolder } from "../../tools/executable.ts";
import { digestFile } from "../../tools/hash/digest_file.ts";
import type { Bundle } from "./bundle.ts";
import { BRIEF, launcherScript } from "./launcher.ts";
import type { Target } from "./target.ts";

/** What becomes an executable. */
export interface PackOptions {
  /** The folder that has the program. */
  readonly folder: string;
  /** The program in it. */
  readonly bundle: Bundle;
  /** The machine that it is for. */
  readonly target: Target;
  /** What Deno is told. */
  readonly flags: readonly string[];
  /** The file that is made; what is there is replaced. */
  readonly output: string;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Makes an executable that unpacks itself: a script, and behind it the program and Deno. The same
 * program gives the same bytes.
 *
 * @param deno The Deno that goes into it.
 * @param options The program, the file.
 */
export async function packScript(deno: string, options: PackOptions): Promise<void> {
  const { folder, bundle: { name, main }, target: { machine }, flags, output, signal } = options;
  await Deno.copyFile(deno, join(folder, "deno"));
  await Deno.chmod(join(folder, "deno"), 0o700);
  await Deno.writeTextFile(join(folder, "brief.js"), BRIEF);
  const archive = `${folder}.tar.gz`;
  await packFolder(folder, archive, signal);
  const { digest } = await digestFile({ path: archive, unpack: false });
  const hash = digest.replace("sha256:", "");
  const script = launcherScript({ name, main, machine, hash, flags });
  const part = `${output}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(part, script, { createNew: true, mode: 0o755 });
    const to = await Deno.open(part, { append: true });
    await (await Deno.open(archive)).readable.pipeTo(to.writable);
    await Deno.rename(part, output);
  } finally {
    await Deno.remove(part).catch(() => {}); // it has its name
  }
}

/**
 * Refuses a plain Deno as what programs are compiled with: Deno takes it, and makes a program that is
 * Deno and nothing else.
 *
 * @throws {UsageError} If `DENORT_BIN` is one.
 */
export async function refusePlainBase(): Promise<void> {
  const base = Deno.env.get("DENORT_BIN");
  if (!base || !await isPlainDeno(base)) return;
  throw new UsageError(`Cannot compile with DENORT_BIN "${base}": it is a plain deno`, {
    hint: "set it to the denort of the same release, or use --base sh",
  });
}

/**
 * Makes an executable with `deno compile`.
 *
 * @param deno The Deno that makes it.
 * @param options The program, the file.
 * @returns Why it was not made: what programs are compiled with cannot be had here.
 * @throws {UsageError} If it fails otherwise.
 */
export async function packWithDeno(
  deno: string,
  { folder, bundle: { main }, target, flags, output, signal }: PackOptions,
): Promise<string | undefined> {
  const how = ["--quiet", "-A", "--no-check", "--no-config", "--no-lock"];
  const map = ["--import-map", join(folder, "import_map.json"), "--include", folder];
  const args = ["compile", ...how, ...flags, ...map, "--target", target.triple, "-o", output];
  const { code, stderr } = await runDeno(deno, [...args, join(folder, main)], {
    cwd: folder,
    signal,
  });
  signal.throwIfAborted();
  if (code === 0) return undefined;
  if (/base binary|dl\.deno\.land|denort/i.test(stderr)) {
    return "what deno compile needs from dl.deno.land cannot be had";
  }
  throw new UsageError(`Cannot compile: ${stderr.trim()}`);
}
