import pLimit from "p-limit";
import type { Pipes } from "./pipes.ts";

/** What a program is run with. */
export interface GateOptions {
  /** The path of the file, where nothing is yet. */
  readonly path: string;
  /** Gives the pipe that the file is at first. */
  readonly pipes: Pipes;
  /** What the file says. */
  readonly text: string;
  /** Ends the program. */
  readonly signal?: AbortSignal | undefined;
}

/** What waits for the other side of a pipe takes one of the few threads that all files need. */
const limit = pLimit(8);

/**
 * Runs a program that reads a file, and does something at the moment when it opens the file; until
 * that is done the program waits.
 *
 * @param options The file; and what ends the program.
 * @param onOpen What is done; if it fails, the program is ended.
 * @param run Runs the program, until the signal is aborted; it need not read the file.
 * @returns What `run` returns; `undefined` where no such file can be made, so that nothing was run.
 */
export async function runThroughGate<Value>(
  { path, pipes, text, signal }: GateOptions,
  onOpen: () => Promise<void>,
  run: (signal: AbortSignal) => Promise<Value>,
): Promise<Value | undefined> {
  if (!await pipes.put(path, signal)) return undefined;
  const failed = new AbortController();
  const ended = Promise.withResolvers<void>();
  let hasEnded = false;
  const serve = async () => {
    // A pipe opens when its other side does.
    using pipe = await limit(() => Deno.open(path, { write: true }));
    if (hasEnded) return;
    try {
      await onOpen();
      // Whoever opens it again finds a file.
      const plain = `${path}.plain`;
      await Deno.writeTextFile(plain, text, { createNew: true, mode: 0o600 });
      await Deno.rename(plain, path);
    } catch (error) {
      // It must not go on as if the file were empty.
      failed.abort(error);
      await ended.promise;
      throw error;
    }
    const content = ReadableStream.from([new TextEncoder().encode(text)]);
    // A program that has ended says why by its exit code.
    await content.pipeTo(pipe.writable).catch(ignoreBrokenPipe);
  };
  const serving = serve();
  serving.catch(() => {});
  try {
    return await run(AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]));
  } finally {
    hasEnded = true;
    ended.resolve();
    // The other side, for as long as it takes: its turn may not have come yet.
    using _release = await Deno.open(path, { read: true, write: true });
    await serving;
  }
}

function ignoreBrokenPipe(error: unknown): void {
  if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
}
