import { assert } from "@std/assert";
import { emptyDir } from "@std/fs/empty-dir";
import { afterEach, beforeEach } from "@std/testing/bdd";
import {
  type Config,
  docker,
  type DockerImage,
  type FetchResult,
  type Listener,
  type Lock,
  type LockOptions,
  type LockResult,
  type OutdatedResult,
  RunError,
  type RunEvent,
  type Source,
  type SourceOptions,
  stowage,
  type StowageError,
  type StowageOptions,
  type Timed,
} from "@stowage/stowage";
import { fixture, type RegistryFixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  type FaultProxy,
  fileLayer,
  type PushedImage,
  type PushedIndex,
  pushImage,
  pushIndex,
} from "../support/mod.ts";
import { withoutTime } from "../support/without_time.ts";

/** What became of a run on a config. */
export interface Outcome<Result> {
  /** What it has done, also if some failed. */
  readonly result: Result;
  /** Why the others failed. */
  readonly failures: Readonly<Record<string, StowageError>>;
  readonly events: readonly RunEvent[];
}

/** An empty registry behind a proxy that counts, and what makes locks of its images. */
export interface LockFixture extends RegistryFixture {
  /** A source at the proxy, without TLS. */
  app(name: string, options?: SourceOptions): DockerImage & SourceOptions;
  /** Puts an image there, which its text makes unlike others. */
  push(name: string, text: string, platform?: string): Promise<PushedImage>;
  /** Puts an index of an image for each platform there. */
  pushMany(name: string, text: string, platforms: readonly string[]): Promise<Many>;
  /** Locks sources, or a config. */
  lock(config: Config, lock?: Lock, options?: LockOptions & StowageOptions): Promise<
    Outcome<LockResult>
  >;
  /** Fetches, with a lock or without one. */
  fetch(config: Config, options?: StowageOptions): Promise<Outcome<FetchResult>>;
  /** Asks which tags moved. */
  outdated(config: Config, lock?: Lock): Promise<Outcome<OutdatedResult>>;
  /** How many manifests were asked for since it was asked last. */
  manifests(): number;
}

/** An index and its images. */
export interface Many extends PushedIndex {
  readonly images: readonly PushedImage[];
}

/** Sets it up; each test has the registry empty. */
export async function lockFixture(): Promise<LockFixture> {
  const parts = await fixture({ registry: true });
  const { registry, proxy } = parts;
  const base = await busyboxLayer();
  const common = { ...parts.at, retryDelay: 0, attempts: 1 };
  let counted = 0;
  beforeEach(() => void (counted = 0));
  afterEach(() => emptyDir(registry.root));
  const push = async (name: string, text: string, platform = "linux/amd64") =>
    await pushImage(registry, name, {
      layers: [base, await fileLayer({ [`${text.slice(0, 50)}.txt`]: text })],
      platform,
    });
  return {
    ...parts,
    app: (name, options = {}) =>
      docker(`${proxy.host}/${name}`, { tlsVerify: false, platform: "linux/amd64", ...options }),
    push,
    async pushMany(name, text, platforms) {
      const [path = ""] = name.split(":");
      // One after the other: the registry trips over two uploads of the same layer.
      const images = await Array.fromAsync(
        platforms,
        (platform) => push(path, text + platform.replaceAll("/", "-"), platform),
      );
      return { ...await pushIndex(registry, name, images, { attestation: true }), images };
    },
    lock(config, lock, { names, update, signal, ...options } = {}) {
      const all = { ...common, ...options, ...(lock && { lock }) };
      const run = { ...(names && { names }), ...(update && { update }), ...(signal && { signal }) };
      return outcomeOf((onEvent) => stowage(config, all).makeLock({ ...run, onEvent }));
    },
    fetch: (config, options = {}) =>
      outcomeOf((onEvent) => stowage(config, { ...common, ...options }).fetch({ onEvent })),
    outdated: (config, lock) =>
      outcomeOf((onEvent) =>
        stowage(config, { ...common, ...(lock && { lock }) }).outdated({ onEvent })
      ),
    manifests() {
      const all = manifestsOf(proxy);
      const since = all - counted;
      counted = all;
      return since;
    },
  };
}

/** How many manifests a proxy was asked for. */
export function manifestsOf(proxy: Pick<FaultProxy, "requests">): number {
  return proxy.requests.filter(({ path }) => path.includes("/manifests/")).length;
}

async function outcomeOf<Result>(
  run: (onEvent: Listener) => Promise<Result & Timed>,
): Promise<Outcome<Result>> {
  const events: RunEvent[] = [];
  try {
    return { result: await run((event) => events.push(withoutTime(event))), failures: {}, events };
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return { result: error.result, failures: error.failures, events };
  }
}

/** Makes a lock, of which nothing may fail. */
export async function mustLock(fixture: LockFixture, config: Config, lock?: Lock): Promise<Lock> {
  const { result, failures } = await fixture.lock(config, lock);
  for (const error of Object.values(failures)) throw error;
  return result.lock;
}

/** What a lock says of an image, as it was pushed. */
export function lockedAs({ digest, id, mediaType, size }: PushedImage) {
  return { digest, id, mediaType, size };
}

/** What a lock says of an index, as it was pushed. */
export function indexAs({ digest, mediaType, manifest }: PushedIndex) {
  return { digest, mediaType, size: new TextEncoder().encode(manifest).length };
}

/** What changed, in words. */
export function wordsOf({ changes }: LockResult): string[] {
  return changes.map(({ name, change }) => `${change} ${name}`);
}

/** The error of a source, of a kind. */
export function errorOf<Kind extends StowageError>(
  kind: abstract new (...args: never[]) => Kind,
  { failures }: Outcome<unknown>,
  source: string,
): Kind {
  const error = failures[`source/${source}`];
  assert(error instanceof kind, `${error}`);
  return error;
}

/** A config of some sources. */
export function of(sources: Readonly<Record<string, Source>>): Config {
  return { sources };
}
