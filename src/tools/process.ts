import { InterruptedError, ToolError, ToolMissingError, ToolStartError } from "../errors/mod.ts";
import { Collector, drain, Inlet, Outlet } from "./process_streams.ts";

export { joint } from "./process_streams.ts";

/** How a program is run. */
export interface ProcessOptions {
  /** Ends the program and all that it has started, by SIGTERM and after 5 s by SIGKILL. */
  readonly signal?: AbortSignal | undefined;
  /** Environment besides this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether nothing of this process's own environment is passed on but `PATH`. */
  readonly isBare?: boolean;
  /** The folder that it starts in; this process's own if absent. */
  readonly cwd?: string;
  /** How many bytes of standard output are kept; more of it ends the program. 4 MiB if absent. */
  readonly maxOutput?: number;
  /** Its standard input; none if absent. A chunk has to count until the next one is asked for. */
  readonly stdin?: ReadableStream<Uint8Array>;
  /** Takes its standard output, which is not kept then; a chunk counts until its write is done. */
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
const DEFAULT_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs a program, without a shell, and waits for its end. It has a process group of its own: what it
 * has started there and left running ends with it. Its streams end with it too: closed if it
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
  let group: ProcessGroup | undefined;
  const stop = () => group?.stop();
  const interrupt = () => {
    stop();
    outlet?.fail(new InterruptedError(signal?.reason));
  };
  const inlet = options.stdin && new Inlet(options.stdin);
  const outlet = options.stdout && new Outlet(options.stdout, stop);
  const stdout = new Collector(maxOutput, "head", stop);
  const stderr = new Collector(MAX_STDERR, "tail");
  signal?.addEventListener("abort", interrupt, { once: true });
  try {
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    const code = await lead(program, args, options, async (child) => {
      group = new ProcessGroup(child.pid);
      if (signal?.aborted) interrupt();
      const ended = new AbortController();
      const [{ code }] = await Promise.all([
        child.status.finally(() => {
          group?.end();
          ended.abort();
        }),
        drain(child.stdout, outlet ?? stdout, ended.signal),
        drain(child.stderr, stderr, ended.signal),
        inlet?.feed(child.stdin, ended.signal),
      ]);
      return code;
    });
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    for (const end of [inlet, outlet]) if (end?.failure) throw end.failure.reason;
    if (code === NOT_FOUND && !await find(program)) throw new ToolMissingError(program);
    const result = { code, stdout: stdout.bytes(), stderr: stderr.text(), isCut: stdout.isCut };
    const error = code === 0 ? undefined : toolError(program, result);
    await inlet?.end(error ?? new Error(`${program} ended before its input`));
    await outlet?.end(error);
    return result;
  } catch (error) {
    await inlet?.end(error);
    outlet?.fail(error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}

/**
 * Runs a program with dax, as the leader of a process group, which dax itself does not make; nor
 * does it feed a program more than 1 KiB at a time, or end without its pipes.
 */
async function lead(
  name: string,
  args: readonly string[],
  { env, isBare = false, cwd = Deno.cwd(), stdin }: ProcessOptions,
  join: (child: Deno.ChildProcess) => Promise<number>,
): Promise<number> {
  const { CommandBuilder } = await import("dax-sh");
  const { PATH = DEFAULT_PATH } = Deno.env.toObject();
  const leash = await findLeash();
  let failure: { readonly error: unknown } | undefined;
  const { code } = await new CommandBuilder()
    .registerCommand("lead", async ({ args: [program = "", ...args], cwd, env }) => {
      try {
        const pipes = {
          stdin: stdin ? "piped" : "null",
          stdout: "piped",
          stderr: "piped",
        } as const;
        const options = { args, env, clearEnv: true, cwd, ...pipes, detached: !leash };
        return { code: await join(await spawn(name, program, options)) };
      } catch (error) {
        failure = { error };
        return { code: 1 };
      }
    })
    .command(["lead", ...leash ?? [], name, ...args])
    .clearEnv(isBare)
    .env({ ...(isBare && { PATH }), ...env })
    .cwd(cwd)
    .stdin("null")
    .noThrow();
  if (failure) throw failure.error;
  return code;
}

async function spawn(
  name: string,
  program: string,
  options: Deno.CommandOptions,
): Promise<Deno.ChildProcess> {
  try {
    return new Deno.Command(program, options).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !await find(name)) {
      throw new ToolMissingError(name);
    }
    throw new ToolStartError(name, error);
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
  if (result.code !== 0) throw toolError(program, result);
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

let leashed: Promise<readonly string[] | undefined> | undefined;

/**
 * On Linux a program must not outlive stowage, however stowage ends: `kill -9` included. `setsid`
 * makes the process group: for `detached` Deno would copy all of its own memory with each start.
 */
function findLeash(): Promise<readonly string[] | undefined> {
  return leashed ??= Promise.all(["setsid", "setpriv"].map(find)).then(([setsid, setpriv]) =>
    Deno.build.os === "linux" && setsid && setpriv
      ? [setsid, setpriv, "--pdeathsig", "KILL", "--"]
      : undefined
  );
}

/** A program with what it has started; signals reach all of them. */
class ProcessGroup {
  #escalation: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(private readonly leader: number) {}

  /** Ends it in order, or by force where that takes long: who is stopped hears nothing else. */
  stop(): void {
    if (this.#isOver || this.#escalation !== undefined) return;
    this.#escalation = setTimeout(() => this.#send("SIGKILL"), KILL_AFTER_MS);
    this.#send("SIGTERM");
  }

  /** Ends what the leader has left running. */
  end(): void {
    clearTimeout(this.#escalation);
    this.#isOver = true;
    this.#send("SIGKILL");
  }

  #send(signal: Deno.Signal): void {
    // The leader makes its group a moment after it has started; once it has ended, its number may be
    // another's.
    for (const id of this.#isOver ? [-this.leader] : [-this.leader, this.leader]) {
      try {
        return Deno.kill(id, signal);
      } catch {
        // None of them runs any more, or they are another user's.
      }
    }
  }
}

function toolError(program: string, { code, stderr }: ProcessResult): ToolError {
  return new ToolError(program, { exitCode: code, stderr });
}
