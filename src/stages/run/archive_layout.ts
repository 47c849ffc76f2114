import { dirname, join } from "@std/path";
import { InterruptedError, StageError } from "../../errors/mod.ts";
import { guard, writableFile } from "../../lib/fs/files.ts";
import { writeTar } from "../../tools/tar.ts";
import type { StageContext } from "../stage.ts";

/** An archive is read by whoever gets it. */
const PUBLIC = { owner: 0, group: 0, mode: "normal" } as const;

/**
 * Archives an OCI image layout; the file is in its place as a whole, or not at all. The same layout
 * makes the same bytes.
 *
 * @param layout The folder of the layout.
 * @param target The file, where it really is; a file that is there gives way.
 * @param context What the engine gives to the stage.
 * @throws {StageError} If a folder is there.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function archiveLayout(
  layout: string,
  target: string,
  context: StageContext,
): Promise<void> {
  const { epoch, signal } = context;
  await placeArchive(target, async (next) => {
    await writeTar(layout, await writableFile(next), { epoch, attributes: PUBLIC, signal });
  }, context);
}

/**
 * Puts an archive in its place as a whole, or not at all.
 *
 * @param target The file, where it really is; a file that is there gives way.
 * @param write Writes the archive beside it.
 * @param context What the engine gives to the stage.
 * @throws {StageError} If a folder is there.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function placeArchive(
  target: string,
  write: (next: string) => Promise<void>,
  { name, tree, epoch, signal }: StageContext,
): Promise<void> {
  const next = join(dirname(target), `.${crypto.randomUUID()}`);
  try {
    await guard("write", next, async () => {
      await write(next);
      await Deno.chmod(next, 0o644);
      await Deno.utime(next, epoch, epoch);
    });
    if (signal.aborted) throw new InterruptedError(signal.reason);
    if (await Deno.lstat(target).then((info) => info.isDirectory, () => false)) {
      const path = target.slice(tree.length + 1);
      throw new StageError(name, `the tree has a folder called "${path}" already`);
    }
    await guard("write", target, async () => {
      await Deno.rename(next, target);
      await Deno.utime(dirname(target), epoch, epoch);
    });
  } catch (error) {
    await Deno.remove(next).catch(() => {});
    throw error;
  }
}
