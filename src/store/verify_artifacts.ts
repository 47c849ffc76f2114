import { join } from "@std/path";
import type { Artifacts } from "./artifacts.ts";
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
import { blobPath } from "./image.ts";
import { blobsOf, readManifest } from "./manifest.ts";

/**
 * Looks at the artifacts of a store: manifests, and all that they name.
 *
 * @param artifacts The artifacts.
 * @returns What is wrong, and what has to be hashed.
 */
export async function lookAtArtifacts(artifacts: Artifacts): Promise<Looked> {
  const digests = await artifacts.digests();
  const parts = await Promise.all(digests.map((digest) => {
    const what = { kind: "artifact", path: artifacts.folder(digest), digest, entries: [] } as const;
    return lookAt(what, () => lookAtOne(artifacts.content(digest), digest));
  }));
  return {
    found: parts.flatMap(({ found }) => found),
    checks: parts.flatMap(({ checks }) => checks),
  };
}

async function lookAtOne(folder: string, digest: string): Promise<Looked> {
  const what = { kind: "artifact", digest, entries: [] } as const;
  const { type } = await see(folder);
  if (type !== "folder") {
    return { found: [{ ...what, path: folder, ...wrongType(type, "folder") }], checks: [] };
  }
  const path = join(folder, "manifest.json");
  const read = await readSmall({ ...what, path });
  if ("wrong" in read) return { found: [read.wrong], checks: [] };
  const found: FoundOne[] = (await oddIn(folder)).map((path) => ({
    ...{ kind: "artifact", path, entries: [] },
    ...{ problem: "format", message: "it is no file" },
  }));
  const checks: Check[] = [];
  const manifest = readManifest(read.bytes);
  if (manifest.kind !== "image") return { found, checks };
  for (const [blob, size] of blobsOf(manifest.manifest)) {
    const path = blobPath(folder, blob);
    const own = { ...what, path, digest: blob };
    const seen = await see(path);
    if (seen.type !== "file") found.push({ ...own, ...wrongType(seen.type, "file") });
    else if (seen.size !== size) {
      const message = `it has ${seen.size} bytes, expected ${size}`;
      found.push({ ...own, problem: "size", message, inode: seen.inode });
    } else checks.push({ ...own, inode: seen.inode, size });
  }
  return { found, checks };
}
