import { resolve } from "@std/path";
import { InvalidValueError, parseReference, parseStorageLocation } from "../../config/mod.ts";
import type { Run } from "../run.ts";
import type { ArchiveLocation, Location } from "../transports/mod.ts";

const STORAGE = /^(\[[^\]]*\])?(.+)$/;

/** Reads what stands behind the name of a transport. */
type Reader = (
  details: string,
  run: Pick<Run, "root" | "reach">,
) => Location | Promise<Location>;

const archive = (transport: ArchiveLocation["transport"]): Reader => async (details, { root }) => ({
  transport,
  ...await splitPath(details, root),
});

/** The transports of those versions; a new one is not added. */
const READERS: Readonly<Record<string, Reader>> = {
  "docker": (details, { reach }) => {
    const reference = parseReference(details.replace(/^\/\//, ""));
    return { transport: "docker", reference, ...reach(reference) };
  },
  "docker-daemon": (details) => ({
    transport: "docker-daemon",
    reference: parseReference(details),
    tlsVerify: true,
  }),
  "containers-storage": (details) => {
    const [, storage, reference = ""] = STORAGE.exec(details) ?? [];
    return {
      transport: "containers-storage",
      reference: parseReference(reference),
      storage: storage ? parseStorageLocation(storage) : {},
    };
  },
  "dir": (path) => ({ transport: "dir", path }),
  "oci": archive("oci"),
  "oci-archive": archive("oci-archive"),
  "docker-archive": archive("docker-archive"),
};

/**
 * Reads where an image came from out of text: the first versions recorded nothing else. It said
 * nothing of how a registry is reached, and relative paths do not say where they start from.
 *
 * @param text As containers-transports(5) has it.
 * @param run What the run gives.
 * @returns The location; `undefined` where it cannot be read.
 */
export async function readOriginText(
  text: string,
  run: Pick<Run, "root" | "reach">,
): Promise<Location | undefined> {
  const [, name = "", details = ""] = /^([a-z-]+):(.+)$/s.exec(text) ?? [];
  const read = Object.entries(READERS).find(([transport]) => transport === name)?.[1];
  try {
    return await read?.(details, run);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    return undefined;
  }
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
