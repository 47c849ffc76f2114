import { join, resolve } from "@std/path";
import {
  type Driver,
  formatLocation,
  formatReference,
  type Location,
  type Reference,
  type StorageLocation,
} from "../../config/mod.ts";
import { guard, sizeOf } from "../lib/fs/files.ts";
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
  /** Name of the image, where the transport has names. */
  readonly reference?: Reference;
  /** Digest that it is asked for by, and so must answer with, where it is a registry. */
  readonly digest?: string | undefined;
  /** Whether it is the lock that says that digest. */
  readonly digestIsLocked?: boolean | undefined;
  /**
   * As skopeo reads one image of it, by the digest of its manifest; `undefined` where the transport
   * has no such names, so that skopeo has to be told the platform.
   */
  byDigest(digest: string): string | undefined;
  /** What skopeo says of it, as a person reads it. */
  plain(words: string): string;
}

/** What a place is made from, beside the location. */
export interface PlaceOptions {
  /** Folder that relative paths start from. */
  readonly root: string;
  /** Folder for links to files whose names skopeo would take apart. */
  readonly scratch: () => Promise<string>;
  /** Digest that the image is asked for by. */
  readonly digest?: string | undefined;
  /** Whether it is the lock that says that digest. */
  readonly digestIsLocked?: boolean | undefined;
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
      const { tlsVerify, authFile, certDir } = location;
      const how = {
        tlsVerify,
        ...(authFile && { authFile: resolve(options.root, authFile) }),
        ...(certDir && { certDir: resolve(options.root, certDir) }),
      };
      const { reference } = location;
      const { digestIsLocked } = options;
      return {
        ...{ transport, reference, label: image, image, how, digest, digestIsLocked },
        byDigest,
        plain,
      };
    }
    case "containers-storage": {
      const { domain, path, tag } = location.reference;
      const digest = options.digest ?? location.reference.digest;
      const { specifier, plain } = await openStorage(location.storage, options);
      const wanted = digest ? { domain, path, digest } : { domain, path, ...(tag && { tag }) };
      const image = `${specifier}${formatReference(wanted)}`;
      const byDigest = (digest: string) =>
        `${specifier}${formatReference({ domain, path, digest })}`;
      const { reference } = location;
      return { transport, reference, label: plain(image), image, how: {}, byDigest, plain };
    }
    default: {
      const file = resolve(options.root, location.path);
      // `dir` takes any path; the others take it apart at colons, so they are given a link.
      const path = transport === "dir" ? file : await linkTo(file, options.scratch);
      const image = `${transport}:${path}${location.image ? `:${location.image}` : ""}`;
      const label = formatLocation({ ...location, path: file });
      const plain = (words: string) => words.replaceAll(image, label).replaceAll(path, file);
      return { transport, label, image, how: {}, byDigest: () => undefined, plain };
    }
  }
}

/**
 * The image of a containers-storage that has a given id, whatever its name is.
 *
 * @param storage The storage.
 * @param options What it is made from, beside the storage.
 * @param id Image id.
 * @returns The place.
 */
export async function openById(
  storage: StorageLocation,
  options: PlaceOptions,
  id: string,
): Promise<Place> {
  const { specifier, plain } = await openStorage(storage, options);
  const image = `${specifier}@${id.slice("sha256:".length)}`;
  const transport = "containers-storage";
  return { transport, label: plain(image), image, how: {}, byDigest: () => undefined, plain };
}

/** Where skopeo is told a place in the words that a person reads. */
const plain = (words: string): string => words;

/** `containers-storage:[driver@root+runroot]`; skopeo's own defaults where nothing is said. */
async function openStorage(
  storage: StorageLocation,
  { root: base, scratch }: PlaceOptions,
): Promise<Pick<Place, "plain"> & { readonly specifier: string }> {
  if (!storage.root) return { specifier: "containers-storage:", plain };
  const root = resolve(base, storage.root);
  const driver = storage.driver ?? await findDriver(root);
  const links: [link: string, path: string][] = [];
  const tell = async (path: string): Promise<string> => {
    if (!/[:+@[\]]/.test(path)) return path;
    // skopeo makes a folder that is not there, but not where a link leads.
    await guard("make the folder", path, () => Deno.mkdir(path, { recursive: true }));
    const link = await linkTo(path, scratch);
    links.push([link, path]);
    return link;
  };
  const runRoot = storage.runRoot && resolve(base, storage.runRoot);
  const run = runRoot ? `+${await tell(runRoot)}` : "";
  return {
    specifier: `containers-storage:[${driver}@${await tell(root)}${run}]`,
    plain: (words) => links.reduce((text, [link, path]) => text.replaceAll(link, path), words),
  };
}

/** A storage has a folder of its own for each driver that it was used with. */
async function findDriver(root: string): Promise<Driver> {
  const isVfs = await sizeOf(join(root, "vfs-images/images.json")) !== undefined;
  return isVfs && await sizeOf(join(root, "overlay-images/images.json")) === undefined
    ? "vfs"
    : "overlay";
}

async function linkTo(file: string, scratch: () => Promise<string>): Promise<string> {
  const link = join(await scratch(), crypto.randomUUID());
  await guard("make the link", link, () => Deno.symlink(file, link));
  return link;
}
