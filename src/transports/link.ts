import { join } from "@std/path";
import { guard } from "../lib/fs/files.ts";

/**
 * Makes a link to a file or folder whose path skopeo would take apart.
 *
 * @param file The file or folder.
 * @param scratch Folder for the link.
 * @returns The link, without characters that skopeo takes for separators.
 * @throws {StoreError} If it cannot be made.
 */
export async function linkTo(file: string, scratch: () => Promise<string>): Promise<string> {
  const link = join(await scratch(), crypto.randomUUID());
  await guard("make the link", link, () => Deno.symlink(file, link));
  return link;
}
