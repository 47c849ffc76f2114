import { dirname, join } from "@std/path";
import * as v from "valibot";
import { type Check, type Looked, MAX_SMALL, see, wrongType } from "./check.ts";
import { digestOf } from "../lib/fs/files.ts";
import { readImageConfig } from "./manifest.ts";
import { indexTar, readAt, type TarMember } from "../lib/archive/tar_index.ts";

/** What `docker save` writes of the images in an archive. */
const ManifestSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.array(v.object({ Config: v.string(), Layers: v.array(v.string()) })),
);

/** How many links lead from a name to a file at most. */
const MAX_LINKS = 8;

/**
 * Looks at the docker-archive of an image that an old version left: it has to have a config that
 * hashes to the image's id, and as many layers as that.
 *
 * @param path The archive.
 * @param id Image id.
 * @returns What is wrong, and its layers, which have to be hashed.
 */
export async function lookAtDockerArchive(path: string, id: string): Promise<Looked> {
  const what = { kind: "docker-archive", path, digest: id, entries: [id] } as const;
  const seen = await see(path);
  if (seen.type !== "file") {
    return { found: [{ ...what, ...wrongType(seen.type, "file") }], checks: [] };
  }
  const { inode } = seen;
  using file = await Deno.open(path);
  const layers = await readLayers(file, id);
  if (typeof layers === "string") {
    return { found: [{ ...what, inode, problem: "content", message: layers }], checks: [] };
  }
  const checks = layers.map(({ range, diffId }): Check => ({
    ...{ kind: what.kind, path, inode, size: range.length, range, entries: what.entries },
    ...{ unpacked: diffId, onUnpacked: what },
  }));
  return { found: [], checks };
}

/** Where the layers of an archive are, and what they have to hash to; or what is wrong with it. */
async function readLayers(file: Deno.FsFile, id: string) {
  const members = await indexTar(file);
  if (!members) return "it is no whole tar archive";
  const bytes = await readMember(file, resolve(members, "manifest.json"));
  const manifest = v.safeParse(ManifestSchema, bytes && new TextDecoder().decode(bytes));
  if (!manifest.success) return "it has no manifest of a docker-archive";
  for (const { Config, Layers } of manifest.output) {
    const config = await readMember(file, resolve(members, Config));
    if (!config || digestOf(config) !== id) continue;
    const diffIds = readImageConfig(config)?.rootfs.diff_ids ?? [];
    if (diffIds.length !== Layers.length) {
      return `it has ${Layers.length} layers, and its config ${diffIds.length}`;
    }
    const layers = [];
    for (const [at, name] of Layers.entries()) {
      const [range, diffId] = [resolve(members, name), diffIds[at]];
      if (!range || !diffId) return `it lacks the layer "${name}"`;
      layers.push({ range, diffId });
    }
    return layers;
  }
  return `it has no config that hashes to ${id}`;
}

type Range = { readonly start: number; readonly length: number };

function resolve(members: ReadonlyMap<string, TarMember>, name: string): Range | undefined {
  let at = name;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const member = members.get(at);
    if (member?.type !== "link") return member && { start: member.start, length: member.length };
    // A hard link names a member; a symbolic one starts from where it is.
    at = members.has(member.target) ? member.target : join(dirname(at), member.target);
  }
  return undefined;
}

async function readMember(file: Deno.FsFile, range?: Range): Promise<Uint8Array | undefined> {
  if (!range || range.length > MAX_SMALL) return undefined;
  return await readAt(file, range.start, range.length);
}
