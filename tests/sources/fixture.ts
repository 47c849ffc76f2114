import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import {
  type ImageResult,
  type Listener,
  RunError,
  type RunEvent,
  type RunOptions,
  type Source,
  stowage,
  type StowageError,
  type StowageOptions,
} from "@stowage/stowage";
import { digestOf, type PushedImage } from "../support/mod.ts";
import { withoutTime } from "../support/without_time.ts";

/** What became of a run. */
export interface Run {
  /** The images, in the order of the config. */
  readonly images: readonly ImageResult[];
  /** Why the others failed. */
  readonly failures: Readonly<Record<string, StowageError>>;
  readonly events: readonly RunEvent[];
}

export type FixtureOptions = StowageOptions & RunOptions;

/**
 * Fetches sources for linux/amd64, pinned or not, and without time between two tries, unless told.
 *
 * @param sources The sources.
 * @param options Those of `stowage()` and of `fetch()`.
 * @returns What became of it, also if some failed.
 */
export async function fetchAll(
  sources: Readonly<Record<string, Source>>,
  { names, onEvent, signal, ...options }: FixtureOptions,
): Promise<Run> {
  const events: RunEvent[] = [];
  const listen: Listener = (event) => {
    events.push(withoutTime(event));
    onEvent?.(event);
  };
  const run = { onEvent: listen, ...(names && { names }), ...(signal && { signal }) };
  try {
    const defaults = { retryDelay: 0, platform: "linux/amd64" };
    const config = { digests: "ignore", sources } as const;
    const { images } = await stowage(config, { ...defaults, ...options }).fetch(run);
    return { images, failures: {}, events };
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return { images: error.result.images, failures: error.failures, events };
  }
}

/**
 * Fetches one source, called `app`.
 *
 * @returns Its image, or the error that ended it, and the events.
 */
export async function fetchApp(
  source: Source,
  options: FixtureOptions,
): Promise<Omit<Run, "images" | "failures"> & { image?: ImageResult; error?: StowageError }> {
  const { images: [image], failures: { "source/app": error }, events } = await fetchAll(
    { app: source },
    options,
  );
  return { events, ...(image && { image }), ...(error && { error }) };
}

/** Fetches one source that is there. */
export async function mustFetch(
  source: Source,
  options: FixtureOptions,
): Promise<{ image: ImageResult; events: readonly RunEvent[] }> {
  const { image, error, events } = await fetchApp(source, options);
  if (!image) throw error;
  return { image, events };
}

/** Fetches one source that must not be had, of a kind of error. */
export async function mustFail<Kind extends StowageError>(
  kind: abstract new (...args: never[]) => Kind,
  source: Source,
  options: FixtureOptions,
): Promise<{ error: Kind; events: readonly RunEvent[] }> {
  const { image, error, events } = await fetchApp(source, options);
  assert(error instanceof kind, `${error ?? `it fetched ${image?.id}`}`);
  return { error, events };
}

/** The types of events, in order, without those that depend on how fast it went. */
export function typesOf(events: readonly RunEvent[]): string[] {
  return events.map((event) => event.type).filter((type) =>
    type !== "progress" && type !== "traffic"
  );
}

/** The events of one type. */
export function eventsOf<Type extends RunEvent["type"]>(
  events: readonly RunEvent[],
  type: Type,
): Extract<RunEvent, { type: Type }>[] {
  return events.filter((event): event is Extract<RunEvent, { type: Type }> => event.type === type);
}

/** Checks that an image in a store is the one that was pushed, byte for byte. */
export async function assertStored(store: string, image: ImageResult, pushed: PushedImage) {
  const path = join(store, "sources/org.osbuild.containers", pushed.id, "image");
  assertEquals([image.id, image.path], [pushed.id, path]);
  assertEquals(await Deno.readTextFile(join(path, "manifest.json")), pushed.manifest);
  for (const digest of [pushed.id, ...pushed.layers.map(({ digest }) => digest)]) {
    const blob = await Deno.readFile(join(path, digest.replace("sha256:", "")));
    assertEquals(await digestOf(blob), digest);
  }
}

/** The names in a folder, in order; none if it is absent. */
export async function list(folder: string): Promise<string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return names.sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Checks that a store has so many entries, each whole, and that nothing else was left in it. */
export async function assertNothingLeft(store: string, entries: number) {
  assertEquals(await list(join(store, "tmp")), []);
  assertEquals((await list(join(store, "sources/org.osbuild.containers"))).length, entries);
}

/** The programs of this machine that have a text in their arguments. */
export function programsWith(text: string): Promise<string[]> {
  const found: string[] = [];
  // All at once: a program may end as soon as somebody else gets a turn.
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const args = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      if (args.includes(text)) found.push(args.replaceAll("\0", " ").trim());
    } catch {
      // It has ended in between.
    }
  }
  return Promise.resolve(found);
}
