import { join } from "@std/path";
import { StageError } from "../../errors/mod.ts";
import { readIfThere } from "../../lib/fs/outside_file.ts";
import { findIsolation } from "../../tools/sandbox.ts";
import { writeTar } from "../../tools/tar.ts";
import type { StageContext } from "../stage.ts";

/** What root's overlayfs on a device does not read as what it is. */
const DIALECT = /^(user\.(overlay|fuseoverlayfs)\.|user\.containers\.override_stat$)/;
const WHITEOUT = /(^|\/)\.wh\.[^/]*$/;
const HINT =
  "run it as root with the store on a file system that overlay can be mounted on, such as " +
  'ext4, xfs or tmpfs; or install with driver: "vfs"';

/**
 * Refuses a storage whose layers are not as the kernel's own overlayfs has them for root: on a
 * device, files that an image has deleted would be there again.
 *
 * @param storage The graph root.
 * @param context What the engine gives to the stage.
 * @throws {StageError} If it was written by a mount program, or in a user namespace.
 */
export async function refuseDialects(
  storage: string,
  { name, signal }: Pick<StageContext, "name" | "signal">,
): Promise<void> {
  const overlay = join(storage, "overlay");
  const refuse = (why: string) => new StageError(name, why, { hint: HINT });
  const mark = await readIfThere(join(overlay, ".has-mount-program"));
  if (new TextDecoder().decode(mark).trim() === "true") {
    throw refuse(
      "overlay cannot be mounted here, so the storage was written by a mount program: on a device, " +
        "files that an image deletes would be there again",
    );
  }
  // Root's own overlayfs writes no other dialect, and reading all of a storage takes time.
  if (await findIsolation() !== "user" || !await isFolder(overlay)) return;
  const found = (path: string) =>
    refuse(
      `the storage was written without root, and "${path}" in it is not as root's overlay has it`,
    );
  await writeTar(overlay, new WritableStream(), {
    signal,
    onMember({ path }) {
      if (WHITEOUT.test(path)) throw found(path);
    },
    keepsAttribute(attribute, _, path) {
      if (DIALECT.test(attribute)) throw found(path);
      return true;
    },
  });
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}
