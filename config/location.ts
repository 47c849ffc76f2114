import { formatReference, parseReference, type Reference } from "./reference.ts";
import type { Fallback, Source } from "./sources.ts";
import { parseStorageLocation, type StorageLocation } from "./storage.ts";

/** Where an image may be, with every value read. */
export type Location =
  | {
    /** The transport. */
    readonly transport: "docker";
    /** Which image it is. */
    readonly reference: Reference;
    /** Whether TLS is required and its certificates checked. */
    readonly tlsVerify: boolean;
    /** File with credentials; the machine's own if absent. */
    readonly authFile?: string;
    /** Folder with the CA and client certificates; the machine's own if absent. */
    readonly certDir?: string;
  }
  | {
    /** The transport. */
    readonly transport: "containers-storage";
    /** Which image it is. */
    readonly reference: Reference;
    /** Which storage it is in. */
    readonly storage: StorageLocation;
  }
  | {
    /** The transport. */
    readonly transport: "dir" | "oci" | "oci-archive" | "docker-archive";
    /** The file or folder, absolute or relative to the config. */
    readonly path: string;
    /** Which image of it is meant, where there are several. */
    readonly image?: string;
  };

/**
 * Reads the values of a source or of one of its fallbacks, whose shape is right.
 *
 * @param image The source or the fallback.
 * @param reference What a containers-storage without a reference of its own looks for.
 * @returns Where the image is; `undefined` if there is no reference to look for.
 * @throws {InvalidValueError} If a value cannot be read, which the schema rules out.
 */
export function readLocation(
  image: Source | Fallback,
  reference: Reference | undefined,
): Location | undefined {
  switch (image.type) {
    case "docker":
      return {
        transport: image.type,
        reference: parseReference(image.reference),
        tlsVerify: image.tlsVerify ?? true,
        ...(image.authFile && { authFile: image.authFile }),
        ...(image.certDir && { certDir: image.certDir }),
      };
    case "containers-storage": {
      const wanted = image.reference ? parseReference(image.reference) : reference;
      const storage = {
        ...(image.location && parseStorageLocation(image.location)),
        ...(image.driver && { driver: image.driver }),
      };
      return wanted && { transport: image.type, reference: wanted, storage };
    }
    case "dir":
      return { transport: image.type, path: image.path };
    default:
      return {
        transport: image.type,
        path: image.path,
        ...(image.image && { image: image.image }),
      };
  }
}

/**
 * Writes a location as containers-transports(5) has it, without what it needs to be reached.
 *
 * @param location The location.
 * @returns Text such as `docker://docker.io/library/nginx:latest`.
 */
export function formatLocation(location: Location): string {
  switch (location.transport) {
    case "docker":
      return `docker://${formatReference(location.reference)}`;
    case "containers-storage": {
      const { driver, root, runRoot } = location.storage;
      const graph = root
        ? `[${driver ? `${driver}@` : ""}${root}${runRoot ? `+${runRoot}` : ""}]`
        : "";
      return `containers-storage:${graph}${formatReference(location.reference)}`;
    }
    default:
      return `${location.transport}:${location.path}${location.image ? `:${location.image}` : ""}`;
  }
}
