import { createHash } from "node:crypto";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { list } from "../sources/fixture.ts";

/** What a store has, by the bytes on its disk. */
export interface Contents {
  /** Ids of the images that are there, whole. */
  readonly images: ReadonlySet<string>;
  /** Sizes of the layers in the pool, by digest. */
  readonly layers: ReadonlyMap<string, number>;
  /** What is in `blobs/partial/`, by name. */
  readonly partial: ReadonlyMap<string, Uint8Array>;
}

/** What has to be so besides. */
export interface AuditOptions {
  /** A run has just come to its end: it has cleared what others left, and used it up. */
  readonly isSettled?: boolean;
  /** `verify` has put aside what was damaged: images may lack parts. */
  readonly isVerified?: boolean;
}

const TOP = [
  ...["archives", "blobs", "bundles", "last-run.json", "quarantine", "sources", "tmp", "trees"],
];

/**
 * Reads all of a store, by code of its own, and checks that each thing is what it is called.
 *
 * @param store The store.
 * @param options What has to be so besides.
 * @returns What is there.
 */
export async function audit(store: string, options: AuditOptions = {}): Promise<Contents> {
  const { isSettled = false, isVerified = false } = options;
  const problems: string[] = [];
  const expect = (isSo: boolean, problem: string) => void (isSo || problems.push(problem));

  for (const name of await list(store)) expect(TOP.includes(name), `what is ${name}?`);
  const { layers, partial, inodes } = await auditPool(store, expect);
  const images = new Set<string>();
  const entries = join(store, "sources/org.osbuild.containers");
  for (const id of await list(entries)) {
    const names = await list(join(entries, id));
    const other = names.filter((name) => name !== "image" && name !== "origin.json");
    expect(!isSettled || other.length === 0, `${id} has ${other}`);
    expect(!isSettled || names.includes("image"), `${id} is empty`);
    if (!names.includes("image")) continue;
    images.add(id);
    const image = join(entries, id, "image");
    const parts = await partsOf(image);
    if (isVerified && !await hasAll(image, parts)) continue;
    await auditImage(image, id, parts, inodes, expect);
    if (!isSettled && !names.includes("origin.json")) continue;
    JSON.parse(await Deno.readTextFile(join(entries, id, "origin.json")));
  }
  const files = join(store, "sources/org.osbuild.files");
  for (const name of await list(files)) {
    expect(hash(await Deno.readFile(join(files, name))) === name, `the file ${name}`);
  }
  for (const id of await list(join(store, "trees"))) {
    const names = await list(join(store, "trees", id));
    expect(names.includes("tree") && names.includes("stage.json"), `the tree ${id} has ${names}`);
  }
  for (const id of await list(join(store, "archives"))) {
    const folder = join(store, "archives", id);
    expect(`${await list(folder)}` === "archive,archive.json", `the archive ${id}`);
    const { sha256 } = JSON.parse(await Deno.readTextFile(join(folder, "archive.json")));
    const found = hash(await Deno.readFile(join(folder, "archive"))).slice("sha256:".length);
    expect(sha256 === found, `the archive ${id} is ${found}`);
  }
  if (isSettled) {
    const left = await list(join(store, "tmp"));
    expect(left.length === 0, `tmp has ${left}`);
    const bundles = await list(join(store, "bundles"));
    expect(bundles.length === 0, `bundles has ${bundles}`);
  }
  assertEquals(problems, []);
  return { images, layers, partial };
}

type Expect = (isSo: boolean, problem: string) => void;

async function auditPool(store: string, expect: Expect) {
  const layers = new Map<string, number>();
  const inodes = new Map<string, number | null>();
  const partial = new Map<string, Uint8Array>();
  const pool = join(store, "blobs");
  for (const name of await list(join(pool, "sha256"))) {
    const path = join(pool, "sha256", name);
    const bytes = await Deno.readFile(path);
    expect(hash(bytes) === `sha256:${name}`, `the blob ${name} is ${hash(bytes)}`);
    layers.set(`sha256:${name}`, bytes.length);
    inodes.set(`sha256:${name}`, (await Deno.lstat(path)).ino);
    const diffId = await Deno.readTextFile(join(pool, "diff-ids", name)).catch(() => "");
    // It is not synced, and what cannot be read is found out again.
    if (diffId.length < 71) continue;
    expect(hash(unpack(bytes)) === diffId, `the blob ${name} is unpacked not ${diffId}`);
  }
  for (const name of await list(join(pool, "partial"))) {
    partial.set(name, await Deno.readFile(join(pool, "partial", name)));
  }
  return { layers, partial, inodes };
}

/** What an image says that it is made of. */
interface Parts {
  readonly config?: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

async function partsOf(folder: string): Promise<Parts> {
  const text = await Deno.readTextFile(join(folder, "manifest.json")).catch(() => "");
  return { layers: [], ...JSON.parse(text || "{}") };
}

function nameOf(digest: string): string {
  return digest.slice("sha256:".length);
}

async function hasAll(folder: string, { config, layers }: Parts): Promise<boolean> {
  const names = await list(folder);
  const digests = [config?.digest ?? "", ...layers.map(({ digest }) => digest)];
  return digests.every((digest) => names.includes(nameOf(digest)));
}

async function auditImage(
  folder: string,
  id: string,
  { config, layers }: Parts,
  inodes: ReadonlyMap<string, number | null>,
  expect: Expect,
): Promise<void> {
  const read = async (digest: string) =>
    await Deno.readFile(join(folder, nameOf(digest))).catch(() => new Uint8Array());
  expect(config?.digest === id, `${id} has the config ${config?.digest}`);
  const bytes = await read(id);
  expect(hash(bytes) === id, `the config of ${id} is ${hash(bytes)}`);
  const text = new TextDecoder().decode(bytes) || "{}";
  const diffIds: readonly string[] = JSON.parse(text).rootfs?.diff_ids ?? [];
  expect(layers.length > 0 && layers.length === diffIds.length, `${id}: ${layers.length} layers`);
  for (const [at, { digest, size }] of layers.entries()) {
    const bytes = await read(digest);
    expect(hash(bytes) === digest && bytes.length === size, `${id}: ${digest} is ${hash(bytes)}`);
    if (bytes.length === 0) continue;
    expect(hash(unpack(bytes)) === diffIds[at], `${id}: ${digest} is unpacked not ${diffIds[at]}`);
    const { ino } = await Deno.lstat(join(folder, nameOf(digest)));
    expect(inodes.get(digest) === ino, `${id}: ${digest} is no hard link of the pool's`);
  }
  const known = [
    "manifest.json",
    "version",
    ...[id, ...layers.map(({ digest }) => digest)]
      .map(nameOf),
  ];
  const more = (await list(folder)).filter((name) => !known.includes(name));
  expect(more.length === 0, `${id} has ${more}`);
}

function unpack(bytes: Uint8Array): Uint8Array {
  try {
    if (bytes[0] === 0x1f) return gunzipSync(bytes);
    return bytes[0] === 0x28 ? zstdDecompressSync(bytes) : bytes;
  } catch {
    return new Uint8Array();
  }
}

/** The digest of bytes. */
export function hash(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
