import { resolve } from "@std/path";
import { InvalidValueError, parseReference, parseStorageLocation } from "../../config/mod.ts";
import type { Location } from "../transports/mod.ts";

/** Transports whose locations are paths, with the name of an image behind them at times. */
const OF_PATHS = ["dir", "oci", "oci-archive", "docker-archive"] as const;
const STORAGE = /^(\[[^\]]*\])?(.+)$/;

/**
 * Reads where an image came from, as it is recorded in the store.
 *
 * @param text What `formatLocation` has written.
 * @param root Folder that relative paths start from.
 * @returns The location; `undefined` where it cannot be read. What it takes to reach a registry is
 * not recorded: the machine's own files say that.
 */
export async function readOriginLocation(
  text: string,
  root: string,
): Promise<Location | undefined> {
  const [, name = "", details = ""] = /^([a-z-]+):(.+)$/s.exec(text) ?? [];
  try {
    if (name === "docker") {
      const reference = parseReference(details.replace(/^\/\//, ""));
      return { transport: name, reference, tlsVerify: true };
    }
    if (name === "containers-storage") {
      const [, storage, reference = ""] = STORAGE.exec(details) ?? [];
      return {
        transport: name,
        reference: parseReference(reference),
        storage: storage ? parseStorageLocation(storage) : {},
      };
    }
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    return undefined;
  }
  const transport = OF_PATHS.find((each) => each === name);
  if (!transport) return undefined;
  if (transport === "dir") return { transport, path: details };
  return { transport, ...await splitPath(details, root) };
}

/** Paths and names of images may have colons, so the disk says where the path ends. */
async function splitPath(
  text: string,
  root: string,
): Promise<{ readonly path: string; readonly image?: string }> {
  const parts = text.split(":");
  for (let count = parts.length; count > 0; count--) {
    const path = parts.slice(0, count).join(":");
    const isThere = await Deno.stat(resolve(root, path)).then(() => true, () => false);
    if (!isThere) continue;
    return { path, ...(count < parts.length && { image: parts.slice(count).join(":") }) };
  }
  return { path: text };
}
