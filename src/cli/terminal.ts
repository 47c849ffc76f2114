import { setColorEnabled } from "@std/fmt/colors";

/** Where a command writes. */
export interface Terminal {
  /** Writes a result, with a line break. */
  out(text: string): void;
  /** Writes what is not the result, with a line break. */
  err(text: string): void;
  /** Shows a line that the next one replaces; `undefined` where there is no terminal. */
  readonly status: ((line: string) => void) | undefined;
}

/**
 * Opens this process's own terminal.
 *
 * @returns Writers to standard output and standard error; colours follow `NO_COLOR`.
 */
export function openTerminal(): Terminal {
  const isTerminal = Deno.stderr.isTerminal();
  if (!isTerminal || !Deno.stdout.isTerminal()) setColorEnabled(false);
  let hasStatus = false;
  const err = (text: string) => write(Deno.stderr, text);
  const clear = () => {
    if (hasStatus) err("\r\x1b[2K");
    hasStatus = false;
  };
  const status = (line: string) => {
    const columns = Deno.consoleSize().columns || 80; // a terminal without a size says 0
    clear();
    if (line === "") return;
    err(line.length < columns ? line : `${line.slice(0, columns - 2)}…`);
    hasStatus = true;
  };
  return {
    out: (text) => {
      clear();
      write(Deno.stdout, `${text}\n`);
    },
    err: (text) => {
      clear();
      err(`${text}\n`);
    },
    status: isTerminal ? status : undefined,
  };
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    // Who reads has seen enough: `stowage graph | head`.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
