import { join, resolve } from "@std/path";
import {
  formatLocation,
  formatReference,
  type Location,
  type StorageLocation,
} from "../../config/mod.ts";
import type { SkopeoImageOptions } from "../tools/skopeo.ts";

/** A location as skopeo is told it. */
export interface Place {
  /** The transport. */
  readonly transport: Location["transport"];
  /** As a person reads it. */
  readonly label: string;
  /** As skopeo reads it, `transport:details`. */
  readonly image: string;
  /** How it is reached. */
  readonly how: SkopeoImageOptions;
  /**
   * As skopeo reads one image of it, by the digest of its manifest; `undefined` where the transport
   * has no such names, so that skopeo has to be told the platform.
   */
  byDigest(digest: string): string | undefined;
}

/** What a place is made from, beside the location. */
export interface PlaceOptions {
  /** Folder that relative paths start from. */
  readonly root: string;
  /** Folder for links to files whose names skopeo would take apart. */
  readonly scratch: () => Promise<string>;
  /** Digest that the image is asked for by. */
  readonly digest?: string | undefined;
}

/**
 * Says a location in skopeo's words.
 *
 * @param location The location.
 * @param options What it is made from, beside the location.
 * @returns The place.
 */
export async function openPlace(location: Location, options: PlaceOptions): Promise<Place> {
  const { transport } = location;
  switch (transport) {
    case "docker": {
      const { domain, path, tag } = location.reference;
      const digest = options.digest ?? location.reference.digest;
      // containers/image refuses a tag beside a digest.
      const wanted = digest ? { domain, path, digest } : { domain, path, ...(tag && { tag }) };
      const image = `docker://${formatReference(wanted)}`;
      const byDigest = (digest: string) => `docker://${formatReference({ domain, path, digest })}`;
      const { tlsVerify, authFile } = location;
      const how = { tlsVerify, ...(authFile && { authFile: resolve(options.root, authFile) }) };
      return { transport, label: image, image, how, byDigest };
    }
    case "containers-storage": {
      const { domain, path, tag } = location.reference;
      const digest = options.digest ?? location.reference.digest;
      const storage = storageSpecifier(location.storage, options.root);
      const wanted = digest ? { domain, path, digest } : { domain, path, ...(tag && { tag }) };
      const image = `${storage}${formatReference(wanted)}`;
      const byDigest = (digest: string) => `${storage}${formatReference({ domain, path, digest })}`;
      return { transport, label: image, image, how: {}, byDigest };
    }
    default: {
      const file = resolve(options.root, location.path);
      const image = await localImage(transport, file, location.image, options.scratch);
      const label = formatLocation({ ...location, path: file });
      return { transport, label, image, how: {}, byDigest: () => undefined };
    }
  }
}

/**
 * The image of a containers-storage that has a given id, whatever its name is.
 *
 * @param storage The storage.
 * @param root Folder that relative paths start from.
 * @param id Image id.
 * @returns The place.
 */
export function openById(storage: StorageLocation, root: string, id: string): Place {
  const image = `${storageSpecifier(storage, root)}@${id.slice("sha256:".length)}`;
  const transport = "containers-storage";
  return { transport, label: image, image, how: {}, byDigest: () => undefined };
}

/** `containers-storage:[driver@root+runroot]`; skopeo's own defaults where nothing is said. */
function storageSpecifier({ driver, root, runRoot }: StorageLocation, base: string): string {
  if (!root) return "containers-storage:";
  const run = runRoot ? `+${resolve(base, runRoot)}` : "";
  return `containers-storage:[${driver ?? "overlay"}@${resolve(base, root)}${run}]`;
}

/** `dir` takes any path; the others take it apart at colons, so they are given a link. */
async function localImage(
  transport: string,
  file: string,
  name: string | undefined,
  scratch: () => Promise<string>,
): Promise<string> {
  if (transport === "dir") return `dir:${file}`;
  const link = join(await scratch(), crypto.randomUUID());
  await Deno.symlink(file, link);
  return `${transport}:${link}${name ? `:${name}` : ""}`;
}
