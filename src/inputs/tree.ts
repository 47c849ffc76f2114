import { StageError } from "../errors/mod.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { treeDigest } from "../tools/tar.ts";

/**
 * Gives a folder on disk to a stage.
 *
 * @param name Name of the input.
 * @param path The folder, absolute.
 * @param signal Ends the run.
 * @returns The input; its id is its content: paths, modes, owners, extended attributes, bytes.
 * @throws {StageError} If there is no such folder.
 */
export async function resolveTree(
  name: string,
  path: string,
  signal: AbortSignal,
): Promise<ResolvedInput> {
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, () => false);
  if (!isFolder) {
    throw new StageError(name, `there is no folder "${path}"`, {
      kind: "input",
      hint: `paths are relative to the config; see inputs.${name}.path`,
    });
  }
  return { id: await treeDigest(path, { signal }), input: { name, kind: "tree", path } };
}
