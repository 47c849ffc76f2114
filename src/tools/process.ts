import { InterruptedError, ToolError, ToolMissingError } from "../errors.ts";

/** How a program is run. */
export interface ProcessOptions {
  /** Ends the program, by SIGTERM and then SIGKILL. */
  readonly signal?: AbortSignal | undefined;
  /** Environment besides this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether nothing of this process's own environment is passed on but `PATH`. */
  readonly isBare?: boolean;
  /** The folder that it starts in; this process's own if absent. */
  readonly cwd?: string;
  /** How many bytes of standard output are kept; more of it ends the program. 4 MiB if absent. */
  readonly maxOutput?: number;
}

/** What a program that ended has said. */
export interface ProcessResult {
  /** Its exit code. */
  readonly code: number;
  /** Its standard output. */
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** The last of its standard error, at most 16 KiB. */
  readonly stderr: string;
  /** Whether it was ended as its output was longer than `maxOutput`. */
  readonly isCut: boolean;
}

const NOT_FOUND = 127;
const KILL_AFTER_MS = 5_000;
const MAX_OUTPUT = 4 * 2 ** 20;
const MAX_STDERR = 16 * 2 ** 10;

/**
 * Runs a program, without a shell, and waits for its end.
 *
 * @param program Name of the program, looked up on the PATH.
 * @param args Its arguments, each passed on as it is.
 * @param options Cancellation, environment, limits.
 * @returns What it said; also where its exit code is not 0.
 * @throws {ToolMissingError} If there is no such program.
 * @throws {InterruptedError} If the signal was aborted; the program has ended by then.
 */
export async function runProcess(
  program: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const { signal, maxOutput = MAX_OUTPUT } = options;
  if (signal?.aborted) throw new InterruptedError(signal.reason);
  const { CommandBuilder, KillController } = await import("dax-sh");
  const killer = new KillController();
  let escalation: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    killer.kill("SIGTERM");
    escalation ??= setTimeout(() => killer.kill("SIGKILL"), KILL_AFTER_MS);
  };
  const stdout = new Collector(maxOutput, "head", stop);
  const stderr = new Collector(MAX_STDERR, "tail");
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const { PATH = "/usr/sbin:/usr/bin:/sbin:/bin" } = Deno.env.toObject();
    const { code } = await new CommandBuilder()
      .command([...await leash(), program, ...args])
      .clearEnv(options.isBare ?? false)
      .env({ ...(options.isBare && { PATH }), ...options.env })
      .cwd(options.cwd ?? Deno.cwd())
      .stdin("null")
      .stdout(stdout.stream)
      .stderr(stderr.stream)
      .signal(killer.signal)
      .noThrow();
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    if (code === NOT_FOUND && !await find(program)) throw new ToolMissingError(program);
    return { code, stdout: stdout.bytes(), stderr: stderr.text(), isCut: stdout.isCut };
  } finally {
    signal?.removeEventListener("abort", stop);
    clearTimeout(escalation);
  }
}

/**
 * Runs a program that has to succeed.
 *
 * @param program Name of the program, looked up on the PATH.
 * @param args Its arguments, each passed on as it is.
 * @param options Cancellation, environment, limits.
 * @returns What it said.
 * @throws {ToolError} If its exit code is not 0.
 * @throws {ToolMissingError} If there is no such program.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const result = await runProcess(program, args, options);
  if (result.code !== 0) throw new ToolError(program, result.code, result.stderr);
  return result;
}

/**
 * Looks a program up on the PATH.
 *
 * @param program Name of the program.
 * @returns Its path, or `undefined` if there is none.
 */
export async function find(program: string): Promise<string | undefined> {
  const { default: $ } = await import("dax-sh");
  return await $.which(program);
}

let leashed: Promise<readonly string[]> | undefined;

/** On Linux a program must not outlive stowage, however stowage ends: `kill -9` included. */
function leash(): Promise<readonly string[]> {
  return leashed ??= find("setpriv").then((path) =>
    path && Deno.build.os === "linux" ? [path, "--pdeathsig", "KILL", "--"] : []
  );
}

/** Keeps the head or the tail of a stream, and never more than its limit. */
class Collector {
  readonly stream: WritableStream<Uint8Array>;
  isCut = false;
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(limit: number, end: "head" | "tail", onCut?: () => void) {
    this.stream = new WritableStream({
      write: (chunk) => {
        if (this.isCut && end === "head") return;
        this.#chunks.push(chunk.slice());
        this.#size += chunk.length;
        if (this.#size <= limit) return;
        this.isCut = true;
        onCut?.();
        if (end === "tail") this.#chunks = [this.bytes().slice(-limit)];
        this.#size = this.#chunks.reduce((sum, { length }) => sum + length, 0);
      },
    });
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#size);
    let offset = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    return bytes;
  }

  text(): string {
    return new TextDecoder().decode(this.bytes()).trim();
  }
}
