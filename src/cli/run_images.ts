import { format as formatBytes } from "@std/fmt/bytes";
import type { FetchResult, RunOptions, Stowage } from "../stowage.ts";
import type { CommandContext, CommandResult } from "./command.ts";
import { showImages } from "./reporter.ts";

/**
 * Runs what ends with images in the store, and shows them.
 *
 * @param context What the command has to work with.
 * @param run Does it.
 * @returns The images.
 */
export async function runImages(
  { load, flags, onEvent, signal, terminal, isJson, isQuiet }: CommandContext,
  run: (stowage: Stowage, options: RunOptions) => Promise<FetchResult>,
): Promise<CommandResult> {
  const stowage = await load();
  const { images } = await run(stowage, { names: flags.words, onEvent, signal });
  if (!isJson && !isQuiet) {
    const fetched = images.filter(({ status }) => status === "fetched");
    const bytes = fetched.reduce((sum, { size }) => sum + size, 0);
    const count = images.length === 1 ? "1 image" : `${images.length} images`;
    if (images.length > 0) terminal.out(showImages(images));
    terminal.out(`${count} in the store, ${fetched.length} fetched (${formatBytes(bytes)})`);
  }
  return { ok: true, images };
}
