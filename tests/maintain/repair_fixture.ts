import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { beforeEach } from "@std/testing/bdd";
import {
  type Config,
  docker,
  type RunEvent,
  stowage,
  type StowageOptions,
  type VerifyResult,
} from "@stowage/stowage";
import { fixture, forThisFile, type RegistryFixture } from "../support/fixture.ts";
import {
  type FaultProxy,
  fileLayer,
  type PushedImage,
  type PushedIndex,
  pushImage,
  pushIndex,
  randomLayer,
  run,
  tempDir,
} from "../support/mod.ts";
import { eventsOf } from "../sources/fixture.ts";
import { withoutTime } from "../support/without_time.ts";

/** A registry with three images that share a layer, the first within an index. */
export interface Depot extends RegistryFixture {
  readonly images: readonly [PushedImage, PushedImage, PushedImage];
  readonly index: PushedIndex;
  /** The layer that they share. */
  readonly base: PushedImage["layers"][number];
}

/** Sets it up; each test has a store that is filled from it through its proxy. */
export async function depotFixture(): Promise<Depot> {
  const parts = await fixture({ registry: true });
  const { registry, proxy, store } = parts;
  const base = await randomLayer({ size: 1_000_000 });
  const push = async (name: string, layer: string) =>
    await pushImage(registry, name, {
      layers: [base, await fileLayer({ layer })],
      config: { Labels: { name } },
    });
  const images = [
    await push("a", "a"),
    await push("b:1", "b"),
    await push("c:1", "c"),
  ] as const;
  const index = await pushIndex(registry, "a:1", [images[0]]);
  const full = await forThisFile(tempDir());
  let filledFrom: string | undefined;
  beforeEach(async () => {
    if (filledFrom === undefined) {
      await stowage(configOf(proxy), { store: full.join("store") }).fetch();
      filledFrom = proxy.host;
    }
    await run("cp", ["-a", full.join("store"), store]);
    // Its origins are at the proxy of this test.
    const origins = [`${store}/sources/org.osbuild.containers`, "-name", "origin.json"];
    const replace = ["sed", "-i", `s/${filledFrom}/${proxy.host}/`, "{}", "+"];
    await run("find", [...origins, "-exec", ...replace]);
  });
  return { ...parts, images, index, base };
}

/** The three images, as a proxy has them. */
export function configOf({ host }: Pick<FaultProxy, "host">) {
  const options = { tlsVerify: false, platform: "linux/amd64" } as const;
  return {
    digests: "ignore",
    sources: {
      a: docker(`${host}/a:1`, { ...options, index: true }),
      b: docker(`${host}/b:1`, options),
      c: docker(`${host}/c:1`, options),
    },
  } as const;
}

/** What became of a repair. */
export interface Repaired extends Required<VerifyResult> {
  readonly events: readonly RunEvent[];
}

/** Repairs a store; what becomes of each finding has its event. */
export async function repair(
  config: Config,
  options: StowageOptions,
  names: readonly string[] = [],
): Promise<Repaired> {
  const events: RunEvent[] = [];
  const result = await stowage(config, { retryDelay: 0, attempts: 1, ...options }).verify({
    ...{ repair: true, names },
    onEvent: (event) => void events.push(withoutTime(event)),
  });
  const { repaired = [], left = [] } = result;
  const told = (type: "repaired" | "unrepaired") =>
    eventsOf(events, type).map(({ type: _type, ...finding }) => finding);
  assertEquals([told("repaired"), told("unrepaired")], [[...repaired], [...left]]);
  assertEquals(repaired.length + left.length, result.findings.length);
  return { ...result, repaired, left, events };
}

/** How many bytes of blobs a proxy has sent, by digest; each blob once. */
export function blobsSent(proxy: Pick<FaultProxy, "requests">, from = 0): Record<string, number> {
  const sent: Record<string, number> = {};
  for (const { method, path, bytes } of proxy.requests.slice(from)) {
    const [, digest] = /\/blobs\/(sha256:\w+)/.exec(path) ?? [];
    if (method !== "GET" || digest === undefined) continue;
    sent[digest] = (sent[digest] ?? 0) + bytes;
  }
  return sent;
}

/** Where a file is on its disk. */
export async function inodeOf(path: string): Promise<number | null> {
  return (await Deno.lstat(path)).ino;
}

/** The folder of an entry. */
export function entryOf(store: string, { id }: PushedImage): string {
  return join(store, "sources/org.osbuild.containers", id);
}
