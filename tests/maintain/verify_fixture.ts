import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { beforeEach } from "@std/testing/bdd";
import {
  copyTree,
  docker,
  dockerArchive,
  type Finding,
  images,
  type RunEvent,
  stowage,
  type StowageEvent,
  tree,
  type VerifyResult,
} from "@stowage/stowage";
import { fixture, forThisFile, type RegistryFixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  fileLayer,
  makeLegacyEntry,
  makeOsbuildEntry,
  type PushedImage,
  type PushedIndex,
  pushImage,
  pushIndex,
  run,
  tempDir,
} from "../support/mod.ts";
import { eventsOf } from "../sources/fixture.ts";
import { withoutTime } from "../support/without_time.ts";

/** A registry with images that share a layer, and an index of one. */
export interface Shop extends RegistryFixture {
  /** Fetched with its index. */
  readonly web: PushedImage;
  readonly index: PushedIndex;
  /** It shares its first layer with `web`; its second is not compressed, its third by zstd. */
  readonly tool: PushedImage;
  /** Put there by osbuild's hand. */
  readonly guest: PushedImage;
  /** There as an archive that an old osbuild left. */
  readonly old: PushedImage;
}

/** Sets it up; each test has a store with something of each kind. */
export async function shopFixture(): Promise<Shop> {
  const parts = await fixture({ registry: true });
  const { registry, store } = parts;
  const base = await busyboxLayer();
  const web = await pushImage(registry, "web", { layers: [base, await fileLayer({ a: "web" })] });
  const index = await pushIndex(registry, "web:1", [web]);
  const tool = await pushImage(registry, "tool:1", {
    layers: [
      base,
      await fileLayer({ big: "x".repeat(300_000) }, { compression: "none" }),
      await fileLayer({ a: "tool" }, { compression: "zstd" }),
    ],
  });
  const guest = await pushImage(registry, "guest:1", { layers: [await fileLayer({ a: "guest" })] });
  const old = await pushImage(registry, "old:1", {
    layers: [await fileLayer({ a: "old" }), await fileLayer({ b: "old" })],
  });
  const shop = { ...parts, web, index, tool, guest, old };
  const full = await forThisFile(tempDir());
  await fillStore(shop, full.path);
  beforeEach(async () => void await run("cp", ["-a", full.join("store"), store]));
  return shop;
}

/** The config of the shop. */
export function configOf({ index, tool }: Pick<Shop, "index" | "tool">) {
  const options = { tlsVerify: false, platform: "linux/amd64" } as const;
  return {
    digests: "ignore",
    sources: {
      web: docker(index.reference, { ...options, index: true }),
      tool: docker(tool.reference, options),
    },
    inputs: { apps: images({ tool: "localhost/tool:1" }), files: tree("files") },
    stages: {
      files: copyTree({ inputs: ["files"] }),
      archive: dockerArchive({ inputs: ["apps"] }),
    },
  } as const;
}

/** Fills a store with something of each kind. */
async function fillStore(shop: Shop, root: string): Promise<void> {
  const store = join(root, "store");
  await Deno.mkdir(join(root, "files/etc"), { recursive: true });
  await Deno.writeTextFile(join(root, "files/etc/motd"), "hello\n");
  await stowage(configOf(shop), { root, store }).build();
  await makeOsbuildEntry(store, shop.registry, shop.guest);
  await makeLegacyEntry(store, shop.registry, shop.old);
}

/** Where the folder of an image is. */
export function folderOf(store: string, { id }: PushedImage): string {
  return join(store, "sources/org.osbuild.containers", id, "image");
}

/** Where a blob of an image is. */
export function blobOf(store: string, image: PushedImage, digest: string): string {
  return join(folderOf(store, image), digest.slice(7));
}

/** Where a blob of the pool is. */
export function poolPath(store: string, digest: string): string {
  return join(store, "blobs/sha256", digest.slice(7));
}

/** Where the archive that an old osbuild left is. */
export function legacyOf(store: string, image: PushedImage): string {
  return join(dirname(folderOf(store, image)), "container-image.tar");
}

/** Flips one bit of a file, whose size and times stay as they are. */
export async function flip(path: string, at = 20): Promise<void> {
  const { mtime, atime, size } = await Deno.stat(path);
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  const where = at < 0 ? size + at : at;
  await file.seek(where, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0]! ^= 1;
  await file.seek(where, Deno.SeekMode.Start);
  await file.write(byte);
  if (mtime && atime) await Deno.utime(path, atime, mtime);
}

/** What a verification has found. */
export interface Verified extends VerifyResult {
  readonly events: readonly RunEvent[];
  /** The one finding. */
  readonly only: Finding;
}

/** Verifies a store; each finding has its event. */
export async function verify(store: string, names: readonly string[] = []): Promise<Verified> {
  const events: RunEvent[] = [];
  const run = { names, onEvent: (event: StowageEvent) => void events.push(withoutTime(event)) };
  const result = await stowage({}, { store }).verify(run);
  const told = eventsOf(events, "damaged").map(({ type: _type, ...finding }) => finding);
  assertEquals(told, [...result.findings]);
  return {
    ...result,
    events,
    get only() {
      assertEquals(result.findings.length, 1, JSON.stringify(result.findings, undefined, 2));
      return result.findings[0]!;
    },
  };
}
