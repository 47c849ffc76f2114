import { assert, assertEquals } from "@std/assert";
import { retry } from "@std/async/retry";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { type Config, stowage } from "@stowage/stowage";
import { cleanEnv, STOWAGE, writeConfig } from "../cli/cli.ts";
import { type Build, type FixtureOptions, mounts, mustBuild } from "../build/fixture.ts";
import { list, programsWith } from "../sources/fixture.ts";
import {
  type FaultProxy,
  type Layer,
  run,
  startFaultProxy,
  type TempDir,
  tempDir,
} from "../support/mod.ts";
import { audit, type AuditOptions, type Contents } from "./audit.ts";
import { describeTree } from "./describe_tree.ts";
import { configFor, type World, writeFiles } from "./world.ts";

/** Where a round takes place: a folder with a config, a store, a registry that may fail. */
export interface Scene extends AsyncDisposable {
  readonly dir: TempDir;
  readonly proxy: FaultProxy;
  readonly config: Config;
  /** The store is `dir`'s, unless told. */
  readonly at: FixtureOptions;
}

/** Opens a scene. */
export async function openScene(world: World, store?: string): Promise<Scene> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const proxy = resources.use(await startFaultProxy(world.registry));
  const config = configFor(proxy.host);
  await writeFiles(dir);
  await writeConfig(dir, config);
  const at = { root: dir.path, store: store ?? dir.join(".stowage") };
  const owned = resources.move();
  return { dir, proxy, config, at, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What a build without faults makes in a fresh store, by name. */
export type Made = Readonly<Record<string, string>>;

/** Ids and digests of all that a build has made, and what its trees are by their own bytes. */
export async function describe({ images, stages }: Build): Promise<Made> {
  const made: Record<string, string> = {};
  for (const { name, id, digest, index } of images) made[name] = `${id} ${digest} ${index?.digest}`;
  for (const { name, id, tree } of stages) {
    made[`stage ${name}`] = tree === undefined ? id : `${id} ${await describeTree(tree)}`;
  }
  return made;
}

/** Checks that nothing that a run has started outlives it. */
export async function assertNothingRuns({ dir, at }: Scene): Promise<void> {
  for (const path of [dir.path, at.store]) {
    // The kernel may be at it yet.
    const gone = async () => assertEquals(await programsWith(path), []);
    await retry(gone, { minTimeout: 20, multiplier: 1, maxAttempts: 500 });
    assert(!(await mounts()).includes(`${path}/tmp/`), "something is mounted");
  }
}

/** What was so before a run without faults. */
export interface RecoverOptions extends AuditOptions {
  /** A tag may have stood for another image, and stages may have been built with that. */
  readonly hadOthers?: boolean;
}

/**
 * Runs a build without faults. It has to succeed, to cost no more than what was missing, to leave
 * nothing, and to make what a build in a fresh store makes.
 *
 * @param scene What the faults have left.
 * @param world What is to be had.
 * @param reference What has to come of it; not compared if absent.
 * @param options What is so before.
 * @returns What was made.
 */
export async function recover(
  scene: Scene,
  world: World,
  reference?: Made,
  { hadOthers = false, ...options }: RecoverOptions = {},
): Promise<Made> {
  const { dir, proxy, config, at } = scene;
  proxy.rules.length = 0;
  await assertNothingRuns(scene);
  const before = await audit(at.store, options);
  const from = proxy.requests.length;
  const out = dir.join("out");
  const hasOut = await exists(out);
  const build = await mustBuild(config, { ...at, ...(hasOut && { out }) });
  for (const layer of world.layers) {
    const asked = proxy.requests.slice(from).filter(({ path }) => path.endsWith(layer.digest));
    const bytes = asked.reduce((sum, { bytes }) => sum + bytes, 0);
    const most = missingOf(layer, before);
    assert(bytes <= most, `${bytes} bytes of ${layer.digest}, which needed ${most}`);
  }
  await assertNothingRuns(scene);
  await audit(at.store, { isSettled: true });
  const made = await describe(build);
  if (reference) assertEquals(made, reference);
  if (hasOut) await assertPlaced(out, build);
  await collect(scene, hadOthers ? ["image", "tree", "archive"] : []);
  const again = await mustBuild(config, { ...at, offline: true });
  assertEquals(new Set([...again.images, ...again.stages].map(({ status }) => status)), CACHED);
  return made;
}

/** Checks that results are in their place, and nothing beside them. */
async function assertPlaced(out: string, { stages, out: placed = {} }: Build): Promise<void> {
  assertEquals(await list(out), [".stowage.json", ...Object.keys(placed).sort()]);
  for (const [name, path] of Object.entries(placed)) {
    const { tree = "" } = stages.find((stage) => stage.name === name) ?? {};
    assertEquals(await describeTree(path), await describeTree(tree), name);
  }
}

/** How many bytes of a layer a run may have to fetch. */
function missingOf({ digest, size, bytes }: Layer, { layers, partial }: Contents): number {
  if (layers.has(digest)) return 0;
  const part = partial.get(digest.slice("sha256:".length)) ?? new Uint8Array();
  const rest = size - part.length;
  // What a registry has spoiled is only found out by the digest of the whole.
  return part.every((byte, at) => byte === bytes[at]) ? rest : rest + size;
}

const CACHED = new Set(["cached"]);

/** Checks that gc keeps what is needed, and removes the rest; what never became a blob, once old. */
async function collect({ config, at }: Scene, others: readonly string[]): Promise<void> {
  const partial = join(at.store, "blobs/partial");
  const names = (await list(partial)).filter((name) => name.includes("-"));
  for (const name of names) await Deno.utime(join(partial, name), 0, 0);
  const { garbage } = await stowage(config, at).gc();
  const kinds = new Set(garbage.map(({ kind }) => kind));
  assertEquals(kinds.difference(new Set(["partial", "quarantine", ...others])), new Set());
  const { partial: left } = await audit(at.store, { isSettled: true });
  assertEquals([...left], []);
}

/** How a command line ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts stowage as a process group of its own, as a shell does. */
export function startGroup(
  { dir }: Scene,
  args: readonly string[],
  prefix: readonly string[] = [],
): Deno.ChildProcess {
  return new Deno.Command("setsid", {
    args: [...prefix, "sh", STOWAGE, ...args],
    cwd: dir.path,
    env: cleanEnv(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Far more than any run takes, in ms. */
const TOO_LONG = 120_000;

/** Waits for its end, which is not far. */
export async function endOf(child: Deno.ChildProcess): Promise<Ended> {
  const timer = setTimeout(() => Deno.kill(-child.pid, "SIGKILL"), TOO_LONG);
  const { code, stdout, stderr } = await child.output().finally(() => clearTimeout(timer));
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs a command line that has to succeed. */
export async function mustRun(
  scene: Scene,
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<void> {
  const { code, stdout, stderr } = await endOf(startGroup(scene, args, prefix));
  assertEquals(code, 0, `${args.join(" ")}: ${stdout}${stderr}`);
}

/** Copies a store, with its hard links and times. */
export async function copyStore(from: string, to: string): Promise<void> {
  await run("cp", ["-a", "--", from, to]);
}
