import { join, resolve } from "@std/path";
import * as v from "valibot";
import {
  type Driver,
  formatReference,
  parseReference,
  parseStorageLocation,
  type Reference,
  type StorageImage,
  type StorageLocation,
} from "../../config/mod.ts";
import { Driver as DriverName } from "../../config/schema_parts.ts";
import { guard, sizeOf } from "../lib/fs/files.ts";
import type { SkopeoImage } from "../tools/skopeo_args.ts";
import { Absence } from "./absence.ts";
import { linkTo } from "./link.ts";
import { RecordedPath, RecordedReference } from "./recorded.ts";
import { defineTransport, type Place, type PlaceImage, type PlaceOptions } from "./transport.ts";

/** Where a containers-storage has an image. */
export interface StoredLocation {
  /** The transport. */
  readonly transport: "containers-storage";
  /** Which image it is. */
  readonly reference: Reference;
  /** Which storage it is in. */
  readonly storage: StorageLocation;
}

/** Storages of this machine, as podman and skopeo keep them. */
export const containersStorage = defineTransport<StorageImage, StoredLocation>({
  builder: () => ({ name: "containersStorage", first: "reference" }),
  read({ type, reference: own, location, driver }, { reference }) {
    const wanted = own ? parseReference(own) : reference;
    const storage = { ...(location && parseStorageLocation(location)), ...(driver && { driver }) };
    return wanted && { transport: type, reference: wanted, storage };
  },
  format: ({ storage, reference }) => formatStored(storage, formatReference(reference)),
  absolute: ({ storage, ...location }, root) => ({
    ...location,
    storage: {
      ...storage,
      ...(storage.root && { root: resolve(root, storage.root) }),
      ...(storage.runRoot && { runRoot: resolve(root, storage.runRoot) }),
    },
  }),
  recorded: v.strictObject({
    transport: v.literal("containers-storage"),
    reference: RecordedReference,
    storage: v.strictObject({
      driver: v.exactOptional(DriverName),
      root: v.exactOptional(RecordedPath),
      runRoot: v.exactOptional(RecordedPath),
    }),
  }),
  async open({ reference, ...location }, options) {
    const { domain, path, tag } = reference;
    const { digest = reference.digest } = options;
    const wanted = digest ? { domain, path, digest } : { domain, path, ...(tag && { tag }) };
    const place = await openStorage(location, formatReference(wanted), options);
    return {
      ...place,
      reference,
      byDigest: (digest) => place.named(formatReference({ domain, path, digest })),
    };
  },
  openById: (location, id, options) =>
    openStorage(location, `@${id.slice("sha256:".length)}`, options),
});

/** `containers-storage:[driver@root+runroot]name`. */
function formatStored({ driver, root, runRoot }: StorageLocation, name: string): string {
  const run = runRoot ? `+${runRoot}` : "";
  const graph = root ? `[${driver ? `${driver}@` : ""}${root}${run}]` : "";
  return `containers-storage:${graph}${name}`;
}

/** The place of an image, by its name there; and of others of the same storage. */
async function openStorage(
  { transport, storage }: Pick<StoredLocation, "transport" | "storage">,
  name: string,
  { scratch }: Pick<PlaceOptions, "scratch">,
): Promise<Place & { named(name: string): PlaceImage }> {
  const { root, runRoot } = storage;
  // The machine's own is skopeo's to find; another one it would make.
  if (root && !await Deno.stat(root).then(() => true, () => false)) {
    throw new Absence("unknown", "there is no storage");
  }
  const links: [link: string, path: string][] = [];
  const tell = async (path: string): Promise<string> => {
    if (!/[:+@[\]]/.test(path)) return path;
    // skopeo makes a folder that is not there, but not where a link leads.
    await guard("make the folder", path, () => Deno.mkdir(path, { recursive: true }));
    const link = await linkTo(path, scratch);
    links.push([link, path]);
    return link;
  };
  const driver = root && (storage.driver ?? await findDriver(root));
  const graph: SkopeoImage["storage"] = root && driver
    ? { driver, root: await tell(root), ...(runRoot && { runRoot: await tell(runRoot) }) }
    : undefined;
  const named = (name: string): PlaceImage => ({
    skopeo: { transport, name, ...(graph && { storage: graph }) },
  });
  return {
    transport,
    label: formatStored({ ...storage, ...(driver && { driver }) }, name),
    image: named(name),
    how: {},
    ...{ isRemote: false, keepsManifest: false },
    byDigest: () => undefined,
    plain: (words) => links.reduce((text, [link, path]) => text.replaceAll(link, path), words),
    named,
  };
}

/** A storage has a folder of its own for each driver that it was used with. */
async function findDriver(root: string): Promise<Driver> {
  const isVfs = await sizeOf(join(root, "vfs-images/images.json")) !== undefined;
  return isVfs && await sizeOf(join(root, "overlay-images/images.json")) === undefined
    ? "vfs"
    : "overlay";
}
