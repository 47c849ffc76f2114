import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { Cache } from "../../config/mod.ts";
import type { CarriedBlob } from "../carry/cargo.ts";
import type { Sender } from "../carry/sender.ts";
import { ContentError, PushError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import type { CachedAt, Run, TreeCache } from "../run.ts";
import { nameIn, reachCache } from "../sources/caches.ts";
import { all, joint, mustRun } from "../tools/process.ts";
import { disinherit, readTar, treeDigest } from "../tools/tar.ts";
import { fingerprint } from "../tools/tree.ts";
import { PlaceError } from "../transports/absence.ts";
import { Registries } from "../transports/docker/registries.ts";
import { packTree } from "./pack_tree.ts";
import { readSecret } from "./secret.ts";
import { senderTo } from "./sender_to.ts";
import {
  type CachedTree,
  isSignedWith,
  MEDIA,
  readCachedTree,
  readTreeManifest,
  signTree,
  type TreeManifest,
} from "./tree_record.ts";
import { noteUse } from "./uses.ts";

/** What is read of a part at a time, in bytes. */
const BUFFER = 256 * 1024;

/** A tree that a cache has. */
interface Found {
  readonly manifest: TreeManifest;
  readonly record: CachedTree;
  readonly of: Parameters<Registries["blob"]>[0];
}

/** The trees in the caches of a run. */
export class TreeCaches implements TreeCache {
  readonly #registries: Registries;
  readonly #senders = new Map<Cache, Sender>();
  readonly #secrets = new Map<Cache, Promise<Uint8Array | undefined>>();

  /**
   * @param run What the run gives.
   */
  constructor(private readonly run: Run) {
    this.#registries = new Registries(run);
  }

  async has(id: string, item: ItemName): Promise<CachedAt | undefined> {
    return await this.#first(id, item, ({ manifest: { config, layers } }, cache) => {
      noteUse(cache, tagOf(id), this.run);
      const bytes = layers.reduce((sum, { size }) => sum + size, config.size);
      return Promise.resolve({ from: cache.repository, bytes });
    });
  }

  async fetch(id: string, item: ItemName): Promise<boolean> {
    const isTaken = await this.#first(id, item, async (found) => {
      await this.#take(found, item);
      return true;
    });
    return isTaken ?? false;
  }

  /** Does something with a tree, in the first cache that has it and does not fail. */
  async #first<Value>(
    id: string,
    item: ItemName,
    use: (found: Found, cache: Cache) => Promise<Value>,
  ): Promise<Value | undefined> {
    const { caches, leftCaches, signal } = this.run;
    for (const cache of caches) {
      if (leftCaches.has(cache, "read")) continue;
      const secret = await this.#secret(cache);
      try {
        const found = await this.#find(cache, id, item, secret);
        if (found) return await use(found, cache);
      } catch (error) {
        if (signal.aborted || !leftCaches.passOver(cache, error, "read")) throw error;
      }
    }
    return undefined;
  }

  async keep(id: string, item: ItemName): Promise<void> {
    const { caches, leftCaches, signal } = this.run;
    for (const cache of caches) {
      if (cache.mode !== "write" || leftCaches.has(cache, "write")) continue;
      const secret = await this.#secret(cache);
      try {
        if (await this.#put(cache, id, item, secret)) noteUse(cache, tagOf(id), this.run);
      } catch (error) {
        if (signal.aborted || !leftCaches.passOver(cache, error, "write")) throw error;
      }
    }
  }

  async #find(
    cache: Cache,
    id: string,
    { name }: ItemName,
    secret: Uint8Array | undefined,
  ): Promise<Found | undefined> {
    const reference = nameIn(cache, tagOf(id));
    const of = { reference, how: reachCache(cache, this.run) };
    const read = await this.#registries.manifest(reference, of.how);
    if (!("bytes" in read)) return undefined;
    const wrong = (reason: string) => new ContentError(name, `its tree in the cache: ${reason}`);
    const manifest = readTreeManifest(read.bytes);
    if ("reason" in manifest) throw wrong(`its manifest cannot be read: ${manifest.reason}`);
    if (secret && !isSignedWith(id, manifest.value, secret)) {
      throw wrong("it is not signed with the key of this cache");
    }
    const config = await this.#registries.config(of, manifest.value.config.digest);
    if (!config) throw wrong("its record cannot be had");
    const record = readCachedTree(config);
    if ("reason" in record) throw wrong(`its record cannot be read: ${record.reason}`);
    if (record.value.id !== id) throw wrong(`it is the tree of stage ${record.value.id}`);
    return { manifest: manifest.value, record: record.value, of };
  }

  /** Nothing of it is in the store before all of it is what its record says. */
  async #take(found: Found, { name }: ItemName): Promise<void> {
    const { store, signal } = this.run;
    const { id, type, made, digest, images = {} } = found.record;
    await using workspace = await store.workspace();
    await disinherit(workspace.path);
    const work = join(workspace.path, "stage");
    const tree = join(work, "tree");
    await guard("make the folder", tree, () => Deno.mkdir(tree, { recursive: true, mode: 0o755 }));
    await this.#unpack(found, tree, name);
    const actual = await treeDigest(tree, { signal });
    if (actual !== digest) {
      throw new ContentError(name, "its tree in the cache is not what its record says", {
        expected: digest,
        actual,
      });
    }
    const print = (tree: string) => fingerprint(tree, { signal });
    const mutable = Object.fromEntries(Object.entries(images).map(([id, list]) => [id, [...list]]));
    const told = { stage: name, type, made, digest, images: mutable };
    await store.trees.commit(work, id, { ...told, fingerprint: await print(tree) }, print);
  }

  async #unpack({ manifest, record, of }: Found, tree: string, name: string): Promise<void> {
    const { signal } = this.run;
    const pipe = joint();
    const plain = atMost(record.size, pipe.writable, name);
    const parts = ReadableStream.from(this.#read(manifest, of, name));
    await all([
      mustRun("zstd", ["--decompress", "--quiet", "--stdout"], {
        ...{ stdin: parts, stdout: plain, signal, isBare: true },
      }),
      // The digest of a tree does not tell the mode and the owner of its own folder.
      readTar(pipe.readable, tree, {
        ...{ doing: `unpack the tree of "${name}"`, isOnlyContent: true, signal },
      }),
    ]);
  }

  async *#read(
    { layers }: TreeManifest,
    of: Found["of"],
    name: string,
  ): AsyncGenerator<Uint8Array> {
    const { signal } = this.run;
    for (const part of layers) {
      const hash = createHash("sha256");
      const { read } = await this.#registries.blob(of, part.digest, { offset: 0, signal });
      for await (const bytes of read(BUFFER)) {
        hash.update(bytes);
        yield bytes;
      }
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual === part.digest) continue;
      throw new ContentError(name, "a part of its tree in the cache has other bytes", {
        expected: part.digest,
        actual,
      });
    }
  }

  /** Whether the cache has it then. */
  async #put(
    cache: Cache,
    id: string,
    item: ItemName,
    secret: Uint8Array | undefined,
  ): Promise<boolean> {
    const { store, signal } = this.run;
    const to = { item, target: nameIn(cache) };
    const known = await store.trees.record(id);
    // What cannot be read whole has no digest.
    if (!known?.digest) return false;
    // Nor does the digest tell of the tree's own folder, and who gets it would have another one.
    const { mode, uid } = await Deno.lstat(store.trees.treePath(id));
    if (((mode ?? 0) & 0o7777) !== 0o755 || ![0, Deno.uid()].includes(uid ?? 0)) return false;
    const sender = this.#sender(cache);
    const isThere = this.run.leftCaches.has(cache, "read")
      ? await this.#hasRight(cache, id, item, secret)
      : await sender.find(to, tagOf(id)) !== undefined;
    if (isThere) return true;
    await using workspace = await store.workspace();
    const { parts, size } = await packTree(store.trees.treePath(id), workspace.path, signal);
    const { type, made, digest, images = {} } = known;
    const record: CachedTree = { schema: 1, id, type, made, digest, size, images };
    const config = await this.#write(join(workspace.path, "record"), record);
    const manifest: TreeManifest = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: MEDIA.tree,
      config: { mediaType: MEDIA.record, digest: config.digest, size: config.size },
      layers: parts.map(({ digest, size }) => ({ mediaType: MEDIA.part, digest, size })),
    };
    for (const blob of [...parts, config]) await sender.sendBlob(to, blob);
    const signed = secret ? signTree(id, manifest, secret) : manifest;
    const bytes = new TextEncoder().encode(JSON.stringify(signed));
    const mediaType = MEDIA.manifest;
    try {
      await sender.putManifest(to, { digest: digestOf(bytes), mediaType, bytes }, tagOf(id));
    } catch (error) {
      // Who has made the same tree at the same time has put that there.
      const isPassed = error instanceof PushError && !signal.aborted &&
        await this.#hasRight(cache, id, item, secret);
      if (!isPassed) throw error;
    }
    return true;
  }

  /** Whether a cache has the tree with a record, and a signature, that can be taken. */
  async #hasRight(
    cache: Cache,
    id: string,
    item: ItemName,
    secret: Uint8Array | undefined,
  ): Promise<boolean> {
    try {
      return await this.#find(cache, id, item, secret) !== undefined;
    } catch (error) {
      if (error instanceof ContentError || error instanceof PlaceError) return false;
      throw error;
    }
  }

  async #write(path: string, record: CachedTree): Promise<CarriedBlob> {
    const bytes = new TextEncoder().encode(JSON.stringify(record));
    await guard("write", path, () => Deno.writeFile(path, bytes));
    return { path, digest: digestOf(bytes), size: bytes.length };
  }

  #sender(cache: Cache): Sender {
    const sender = this.#senders.get(cache) ?? senderTo(cache, this.run);
    this.#senders.set(cache, sender);
    return sender;
  }

  #secret(cache: Cache): Promise<Uint8Array | undefined> {
    const secret = this.#secrets.get(cache) ?? readSecret("cache key", cache.key, this.run.root);
    this.#secrets.set(cache, secret);
    return secret;
  }
}

function tagOf(id: string): string {
  return `tree-${id}`;
}

/** What a cache sends must not fill the disk. */
function atMost(
  size: number,
  to: WritableStream<Uint8Array>,
  name: string,
): WritableStream<Uint8Array> {
  const writer = to.getWriter();
  let passed = 0;
  return new WritableStream({
    write: async (chunk) => {
      passed += chunk.length;
      if (passed > size) {
        const error = new ContentError(
          name,
          "its tree in the cache is larger than its record says",
        );
        await writer.abort(error).catch(() => {});
        throw error;
      }
      await writer.write(chunk);
    },
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });
}
