import type { KillSignal } from "dax-sh";
import { InterruptedError, ToolError, ToolMissingError, ToolStartError } from "../errors/mod.ts";

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
  /** Its standard input; none if absent. */
  readonly stdin?: ReadableStream<Uint8Array>;
  /** Takes its standard output, which is not kept then. */
  readonly stdout?: WritableStream<Uint8Array>;
}

/** What a program that ended has said. */
export interface ProcessResult {
  /** Its exit code. */
  readonly code: number;
  /** Its standard output, unless a stream took it. */
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
 * Runs a program, without a shell, and waits for its end. Its streams end with it: closed if it
 * succeeded, else aborted with what went wrong. One that fails ends the program, and its error is
 * thrown, so that programs that streams join all fail for the one reason.
 *
 * @param program Name of the program, looked up on the PATH.
 * @param args Its arguments, each passed on as it is.
 * @param options Cancellation, environment, limits.
 * @returns What it said; also where its exit code is not 0.
 * @throws {ToolMissingError} If there is no such program.
 * @throws {ToolStartError} If it cannot be started.
 * @throws {InterruptedError} If the signal was aborted; the program has ended by then.
 */
export async function runProcess(
  program: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const { signal, maxOutput = MAX_OUTPUT } = options;
  const { CommandBuilder, KillController } = await import("dax-sh");
  const killer = new KillController();
  let escalation: ReturnType<typeof setTimeout> | undefined;
  const kill = () => {
    killer.kill("SIGTERM");
    escalation ??= setTimeout(() => killer.kill("SIGKILL"), KILL_AFTER_MS);
  };
  const inlet = options.stdin && new Inlet(options.stdin);
  const outlet = options.stdout && new Outlet(options.stdout, kill);
  const stop = () => {
    kill();
    outlet?.fail(new InterruptedError(signal?.reason));
  };
  const stdout = new Collector(maxOutput, "head", kill);
  const stderr = new Collector(MAX_STDERR, "tail");
  signal?.addEventListener("abort", stop, { once: true });
  try {
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    const { PATH = "/usr/sbin:/usr/bin:/sbin:/bin" } = Deno.env.toObject();
    const command = [...await leash(), program, ...args];
    const env = { ...(options.isBare && { PATH }), ...options.env };
    const { isBare = false, cwd = Deno.cwd() } = options;
    const output = (outlet ?? stdout).stream;
    const { code } = inlet
      ? await feed(
        program,
        inlet.stream,
        command,
        { env, isBare, cwd },
        output,
        stderr.stream,
        killer.signal,
      )
      : await new CommandBuilder()
        .command(command)
        .clearEnv(isBare)
        .env(env)
        .cwd(cwd)
        .stdin("null")
        .stdout(output)
        .stderr(stderr.stream)
        .signal(killer.signal)
        .noThrow()
        .then((result) => result, (error) => {
          throw new ToolStartError(program, error);
        });
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    for (const end of [inlet, outlet]) if (end?.failure) throw end.failure.reason;
    if (code === NOT_FOUND && !await find(program)) throw new ToolMissingError(program);
    const result = { code, stdout: stdout.bytes(), stderr: stderr.text(), isCut: stdout.isCut };
    const error = code === 0 ? undefined : new ToolError(program, code, result.stderr);
    await inlet?.end(error ?? new Error(`${program} ended before its input`));
    await outlet?.end(error);
    return result;
  } catch (error) {
    await inlet?.end(error);
    outlet?.fail(error);
    throw error;
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
 * Waits for all programs that streams join to end, also where one fails.
 *
 * @param programs The programs.
 * @throws {unknown} The first error, in the order of the programs.
 */
export async function all(programs: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(programs)) {
    if (result.status === "rejected") throw result.reason;
  }
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

/** Runs a program that reads: dax-sh would feed it 1 KiB at a time, which takes longer than zstd. */
async function feed(
  name: string,
  stdin: ReadableStream<Uint8Array>,
  [program = "", ...args]: readonly string[],
  { env, isBare, cwd }: Required<Pick<ProcessOptions, "env" | "isBare" | "cwd">>,
  stdout: WritableStream<Uint8Array>,
  stderr: WritableStream<Uint8Array>,
  killSignal: KillSignal,
): Promise<{ code: number }> {
  const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args, env, clearEnv: isBare, cwd, ...pipes }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { code: NOT_FOUND };
    throw new ToolStartError(name, error);
  }
  const ended = new AbortController();
  const kill = (signal: Deno.Signal) => {
    try {
      if (!ended.signal.aborted) child.kill(signal);
    } catch (error) {
      // Ctrl-C ends all programs of a terminal, this one first; its status is on its way.
      if (!(error instanceof TypeError)) throw error;
    }
  };
  killSignal.addListener(kill);
  const status = child.status.finally(() => ended.abort());
  const [{ code }] = await Promise.all([
    status,
    child.stdout.pipeTo(stdout),
    child.stderr.pipeTo(stderr),
    // It need not read all of it; the inlet knows if the other side has failed.
    stdin.pipeTo(child.stdin, { signal: ended.signal }).catch(() => {}),
  ]);
  killSignal.removeListener(kill);
  return { code };
}

/** Why a stream failed, as that may be anything, `undefined` included. */
interface Failure {
  readonly reason: unknown;
}

/** What a program reads. */
class Inlet {
  readonly stream: ReadableStream<Uint8Array>;
  failure: Failure | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(source: ReadableStream<Uint8Array>) {
    this.#reader = source.getReader();
    this.stream = new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await this.#reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (reason) {
          this.failure ??= { reason };
          throw reason;
        }
      },
    }, { highWaterMark: 0 });
  }

  async end(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }
}

/** Where a program writes; when that fails the rest is dropped, for the program to end. */
class Outlet {
  readonly stream: WritableStream<Uint8Array>;
  failure: Failure | undefined;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #failed = Promise.withResolvers<void>();
  readonly #onFailure: () => void;

  constructor(target: WritableStream<Uint8Array>, onFailure: () => void) {
    this.#writer = target.getWriter();
    this.#onFailure = onFailure;
    this.stream = new WritableStream({
      write: async (chunk) => {
        if (this.failure) return;
        const written = this.#writer.write(chunk).catch((reason) => this.fail(reason));
        await Promise.race([written, this.#failed.promise]);
      },
    });
  }

  fail(reason: unknown): void {
    if (this.failure) return;
    this.failure = { reason };
    this.#onFailure();
    this.#writer.abort(reason).catch(() => {});
    this.#failed.resolve();
  }

  async end(error: unknown): Promise<void> {
    if (error === undefined) await this.#writer.close();
    else this.fail(error);
  }
}
