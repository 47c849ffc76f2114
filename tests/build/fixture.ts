import { assert, assertEquals } from "@std/assert";
import {
  type BuildOptions,
  type BuildResult,
  type Config,
  RunError,
  type RunEvent,
  stowage,
  type StowageError,
  type StowageOptions,
} from "@stowage/stowage";
import { run } from "../support/mod.ts";
import { withoutTime } from "../support/without_time.ts";

/** What became of a build. */
export interface Build extends BuildResult {
  /** The error of each item that failed, by name. */
  readonly failures: Readonly<Record<string, StowageError>>;
  /** Names of the items that were skipped. */
  readonly skipped: readonly string[];
  readonly events: readonly RunEvent[];
}

/** Where the store is, and what else a build takes. */
export type FixtureOptions = StowageOptions & BuildOptions & { readonly store: string };

/**
 * Builds a config. Between two tries of a place is no time, unless told.
 *
 * @param config The config.
 * @param options Those of `stowage()` and of `build()`.
 * @returns What became of it, also if some failed.
 */
export async function buildAll(
  config: Config,
  { names, onEvent, signal, out, keepStages, ...options }: FixtureOptions,
): Promise<Build> {
  const events: RunEvent[] = [];
  const run: BuildOptions = {
    onEvent: (event) => {
      events.push(withoutTime(event));
      onEvent?.(event);
    },
    ...(names && { names }),
    ...(signal && { signal }),
    ...(out !== undefined && { out }),
    ...(keepStages && { keepStages }),
  };
  try {
    const result = await stowage(config, { retryDelay: 0, attempts: 1, ...options }).build(run);
    return { ...result, failures: {}, skipped: [], events };
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    const { failures, result: { images, stages, out = {}, skipped = [] } } = error;
    return { images, stages, out, failures, skipped, events };
  }
}

/** Builds a config of which nothing may fail. */
export async function mustBuild(config: Config, options: FixtureOptions): Promise<Build> {
  const build = await buildAll(config, options);
  for (const error of Object.values(build.failures)) throw error;
  return build;
}

/** Builds a config of which one item must fail, in a way of its own. */
export async function mustFail<Kind extends StowageError>(
  kind: abstract new (...args: never[]) => Kind,
  key: string,
  config: Config,
  options: FixtureOptions,
): Promise<Build & { readonly error: Kind }> {
  const build = await buildAll(config, options);
  const error = build.failures[key];
  assert(error instanceof kind, `${key}: ${error ?? "it did not fail"}`);
  return { ...build, error };
}

/** The tree of a stage that has one. */
export function treeOf({ stages }: Build, name: string): string {
  const tree = stages.find((stage) => stage.name === name)?.tree;
  assert(tree !== undefined, `"${name}" has no tree`);
  return tree;
}

/** What became of each stage, by name. */
export function statusOf({ stages }: Build): Record<string, string> {
  return Object.fromEntries(stages.map(({ name, status }) => [name, status]));
}

/** The ids of the stages, by name. */
export function idsOf({ stages }: Build): Record<string, string> {
  return Object.fromEntries(stages.map(({ name, id }) => [name, id]));
}

/** All paths in a folder, without the folder itself, in order. */
export async function listTree(folder: string): Promise<string[]> {
  const paths = (await run("find", [folder, "-mindepth", "1", "-printf", "%P\n"])).split("\n");
  return paths.filter(Boolean).sort();
}

/** The mounts of this process and all that share its table. */
export function mounts(): Promise<string> {
  return Deno.readTextFile("/proc/self/mountinfo");
}

/** Checks that nothing under way was left in a store. */
export async function assertClean(store: string): Promise<void> {
  assertEquals(await listTree(`${store}/tmp`), []);
  assertEquals((await mounts()).includes(store), false);
}
