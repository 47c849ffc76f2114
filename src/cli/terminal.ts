import { setColorEnabled } from "@std/fmt/colors";
import { inLine } from "../lib/words.ts";
import { safe } from "./style.ts";

/** Where a command writes. */
export interface Terminal {
  /** Writes a result, with a line break. */
  out(text: string): void;
  /** Writes what is not the result, with a line break. */
  err(text: string): void;
  /**
   * Shows lines that the next ones replace, made for so many characters each; `undefined` where
   * there is no terminal.
   */
  readonly status: ((lines: (columns: number) => readonly string[]) => void) | undefined;
  /**
   * Asks a person, who answers with a line; `undefined` where nobody is there to be asked. The answer
   * is `undefined` where nothing more comes.
   */
  readonly ask: ((question: string) => Promise<string | undefined>) | undefined;
}

/** The terminal of a process. */
export interface OwnTerminal extends Terminal {
  /** Why a result could not be written; `undefined` as long as all could. */
  readonly failure: Error | undefined;
}

/**
 * Opens this process's own terminal. Nothing that is written to it is lost for what it is: only line
 * breaks, tabs and stowage's own colours reach it as they are.
 *
 * @returns Writers to standard output and standard error, which never throw; colours follow
 * `NO_COLOR`.
 */
export function openTerminal(): OwnTerminal {
  const isTerminal = Deno.stderr.isTerminal();
  if (!isTerminal || !Deno.stdout.isTerminal()) setColorEnabled(false);
  let failure: Error | undefined;
  let shown = 0;
  const err = (text: string) => void write(Deno.stderr, text); // there is nowhere else to tell
  const clear = () => {
    if (shown > 0) err(`\r\x1b[2K${"\x1b[1A\x1b[2K".repeat(shown - 1)}`);
    shown = 0;
  };
  const status = (make: (columns: number) => readonly string[]) => {
    const { columns, rows } = Deno.consoleSize();
    // A terminal without a size says 0; a line that fills it would begin another.
    const lines = make((columns || 80) - 1).slice(0, Math.max((rows || 24) - 1, 1));
    clear();
    err(lines.map(inLine).join("\n"));
    shown = lines.length;
  };
  return {
    get failure() {
      return failure;
    },
    out: (text) => {
      clear();
      failure ??= write(Deno.stdout, `${safe(text)}\n`);
    },
    err: (text) => {
      clear();
      err(`${safe(text)}\n`);
    },
    status: isTerminal ? status : undefined,
    ask: isTerminal && Deno.stdin.isTerminal()
      ? async (question) => {
        clear();
        err(safe(question));
        return await readLine();
      }
      : undefined,
  };
}

/** A terminal gives a line at a time. */
async function readLine(): Promise<string | undefined> {
  const bytes = new Uint8Array(4096);
  const count = await Deno.stdin.read(bytes);
  return count === null ? undefined : new TextDecoder().decode(bytes.subarray(0, count)).trim();
}

/** How long to wait for who reads, where that cannot be left to the system, in ms. */
const PAUSE = 5;

function write(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): Error | undefined {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      // Who reads has seen enough: `stowage graph | head`.
      if (error instanceof Deno.errors.BrokenPipe) return undefined;
      if (!(error instanceof Deno.errors.WouldBlock)) {
        return error instanceof Error ? error : new Error(String(error));
      }
      // Another program has made it so that it does not wait.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
    }
  }
  return undefined;
}
