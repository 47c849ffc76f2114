import { join } from "@std/path";
import type { FindingKind } from "../finding.ts";
import {
  type Check,
  type FoundOne,
  lookAt,
  type Looked,
  oddIn,
  readSmall,
  see,
  wrongType,
} from "./check.ts";
import { digestOf } from "../lib/fs/files.ts";
import { blobPath } from "./image.ts";
import { type ImageManifest, readImageConfig, readManifest } from "./manifest.ts";
import { findOriginFault, readOriginRecord } from "./origin.ts";
import { lookAtDockerArchive } from "./verify_docker_archive.ts";

/**
 * Looks at an image of the store: its manifest is compared with the digest that is recorded, its
 * config with its id, the sizes of its layers with the manifest.
 *
 * @param entry The folder of its entry.
 * @param id Image id, which the entry is called by.
 * @returns What is wrong, and the layers, which have to be hashed. An entry without anything in it
 * is nothing yet.
 */
export async function lookAtImage(entry: string, id: string): Promise<Looked> {
  const what = { kind: "image", path: entry, digest: id, entries: [id] } as const;
  return await lookAt(what, () => lookAtEntry(entry, id));
}

async function lookAtEntry(entry: string, id: string): Promise<Looked> {
  const seen = await see(entry);
  const entries = [id];
  if (seen.type !== "folder") {
    if (seen.type === "nothing") return { found: [], checks: [] };
    const wrong = { kind: "image", path: entry, digest: id, entries } as const;
    return { found: [{ ...wrong, ...wrongType(seen.type, "folder") }], checks: [] };
  }
  const names = await Array.fromAsync(Deno.readDir(entry), ({ name }) => name);
  const parts: Looked[] = [];
  const origin = { kind: "origin", path: join(entry, "origin.json"), entries } as const;
  parts.push(
    await lookAt(origin, async () => {
      const fault = await findOriginFault(entry);
      return { found: fault ? [{ ...fault, entries }] : [], checks: [] };
    }),
  );
  if (names.includes("container-image.tar")) {
    const path = join(entry, "container-image.tar");
    const what = { kind: "docker-archive", path, digest: id, entries } as const;
    parts.push(await lookAt(what, () => lookAtDockerArchive(path, id)));
  }
  if (names.includes("image")) parts.push(await new ImageLook(join(entry, "image"), id).look());
  else if (!names.includes("container-image.tar") && names.includes("origin.json")) {
    const missing = { kind: "image", path: join(entry, "image"), digest: id, entries } as const;
    parts.push({ found: [{ ...missing, ...wrongType("nothing", "folder") }], checks: [] });
  }
  return {
    found: parts.flatMap(({ found }) => found),
    checks: parts.flatMap(({ checks }) => checks),
  };
}

/** A look at an image in the format of the `dir` transport. */
class ImageLook {
  readonly #found: FoundOne[] = [];
  readonly #checks: Check[] = [];

  constructor(private readonly path: string, private readonly id: string) {}

  async look(): Promise<Looked> {
    const { type } = await see(this.path);
    if (type !== "folder") {
      this.#add("image", this.path, this.id, wrongType(type, "folder"));
      return this.#result();
    }
    const manifest = await this.#lookAtManifest();
    const config = manifest && await this.#lookAtConfig(manifest);
    if (manifest) await this.#lookAtLayers(manifest, config);
    const known = new Set(this.#found.map(({ path }) => path));
    for (const path of await oddIn(this.path)) {
      const { type } = await see(path);
      if (!known.has(path)) this.#add("image", path, undefined, wrongType(type, "file"));
    }
    return this.#result();
  }

  #result(): Looked {
    return { found: this.#found, checks: this.#checks };
  }

  #add(
    kind: FindingKind,
    path: string,
    digest: string | undefined,
    wrong: Pick<FoundOne, "problem" | "message" | "inode">,
  ): void {
    this.#found.push({ kind, path, ...(digest && { digest }), entries: [this.id], ...wrong });
  }

  async #lookAtManifest(): Promise<ImageManifest | undefined> {
    const path = join(this.path, "manifest.json");
    // One that cannot be read is told already.
    const record = await readOriginRecord(join(this.path, "..")).catch(() => undefined);
    const digest = record?.manifest;
    const what = { kind: "manifest", path, entries: [this.id], ...(digest && { digest }) } as const;
    const read = await readSmall(what);
    if ("wrong" in read) {
      this.#found.push(read.wrong);
      return undefined;
    }
    const result = readManifest(read.bytes);
    if (result.kind !== "image") {
      const message = result.kind === "index" ? "it is an index, of no image" : result.reason;
      this.#add("manifest", path, digest, { problem: "format", message });
      return undefined;
    }
    const { manifest } = result;
    if (manifest.config.digest === this.id) return manifest;
    const message = `it is of ${manifest.config.digest}, expected ${this.id}`;
    this.#add("manifest", path, digest ?? digestOf(read.bytes), { problem: "content", message });
    return undefined;
  }

  /** The diff_ids of the layers, where the config can say them. */
  async #lookAtConfig(manifest: ImageManifest): Promise<readonly string[] | undefined> {
    const path = blobPath(this.path, this.id);
    const what = { kind: "config", path, digest: this.id, entries: [this.id] } as const;
    const read = await readSmall(what);
    if ("wrong" in read) {
      this.#found.push(read.wrong);
      return undefined;
    }
    const { size } = manifest.config;
    if (read.bytes.length !== size) {
      const message = `its config has ${read.bytes.length} bytes, and its manifest says ${size}`;
      this.#add("image", this.path, this.id, { problem: "content", message });
    }
    const diffIds = readImageConfig(read.bytes)?.rootfs.diff_ids;
    const count = manifest.layers.length;
    if (diffIds?.length === count) return diffIds;
    const message = diffIds
      ? `its manifest has ${count} layers, and its config ${diffIds.length}`
      : "its config is not as OCI has it";
    this.#add("image", this.path, this.id, { problem: "content", message });
    return undefined;
  }

  async #lookAtLayers(manifest: ImageManifest, diffIds?: readonly string[]): Promise<void> {
    const seen = new Set<string>();
    for (const [at, { digest, size }] of manifest.layers.entries()) {
      const unpacked = diffIds?.[at];
      if (seen.has(`${digest} ${unpacked}`)) continue;
      seen.add(`${digest} ${unpacked}`);
      const path = blobPath(this.path, digest);
      const found = await see(path);
      if (found.type !== "file") {
        this.#add("layer", path, digest, wrongType(found.type, "file"));
      } else if (found.size !== size) {
        const message = `it has ${found.size} bytes, expected ${size}`;
        this.#add("layer", path, digest, { problem: "size", message, inode: found.inode });
      } else {
        this.#checks.push({
          ...{ kind: "layer", path, inode: found.inode, size, digest, entries: [this.id] },
          // The blob may be right and the config that of another image.
          onUnpacked: { kind: "image", path: this.path, digest: this.id },
          ...(unpacked && { unpacked }),
        });
      }
    }
  }
}
