import { join } from "@std/path";
import { ToolError, ToolMissingError } from "../errors/mod.ts";
import { mustRun } from "./process.ts";

const AT_ONCE = 16;

/** Named pipes, made several at once: to start a program takes longer than to make a pipe. */
export class Pipes {
  readonly #spare: string[] = [];
  #making: Promise<boolean> | undefined;

  /**
   * @param folder Where those are that nobody has asked for yet.
   */
  constructor(private readonly folder: () => Promise<string>) {}

  /**
   * Puts a pipe where nothing is yet.
   *
   * @param path Where it is put.
   * @param signal Ends the work.
   * @returns Whether it is there; some file systems know no pipes.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async put(path: string, signal: AbortSignal | undefined): Promise<boolean> {
    for (;;) {
      const spare = this.#spare.pop();
      if (spare !== undefined) {
        const isPut = await Deno.rename(spare, path).then(() => true, () => false);
        return isPut || await make([path], signal); // it may be on another file system
      }
      const isMade = await (this.#making ??= this.#makeMany(signal).finally(() => {
        this.#making = undefined;
      }));
      if (!isMade) return false;
    }
  }

  async #makeMany(signal: AbortSignal | undefined): Promise<boolean> {
    const folder = await this.folder();
    const paths = Array.from(
      { length: AT_ONCE },
      () => join(folder, `pipe-${crypto.randomUUID()}`),
    );
    const isMade = await make(paths, signal);
    if (isMade) this.#spare.push(...paths);
    return isMade;
  }
}

async function make(paths: readonly string[], signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await mustRun("mkfifo", ["-m", "600", "--", ...paths], { signal });
    return true;
  } catch (error) {
    if (error instanceof ToolError || error instanceof ToolMissingError) return false;
    throw error;
  }
}
