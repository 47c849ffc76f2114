import * as v from "valibot";
import { InterruptedError } from "../errors/mod.ts";
import { find } from "./process.ts";

/** How Deno is run. */
export interface DenoOptions {
  /** The folder that it starts in. */
  readonly cwd: string;
  /** What it reads: a program, for `deno run -`. */
  readonly stdin?: string;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** What it said. */
export interface DenoResult {
  /** Its exit code. */
  readonly code: number;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/**
 * Finds a Deno: the one that stowage runs in, or that of the `PATH` where stowage is a compiled
 * program, which cannot load what was not compiled into it.
 *
 * @returns Its path; `undefined` if there is none.
 */
export async function findDeno(): Promise<string | undefined> {
  return Deno.build.standalone ? await find("deno") : Deno.execPath();
}

/**
 * Runs Deno to its end. It is not looked after as other programs are, so that a config loads at
 * once: what it runs is the user's own.
 *
 * @param deno Its path.
 * @param args What it is given.
 * @param options Folder, input, signal.
 * @returns What it said.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function runDeno(
  deno: string,
  args: readonly string[],
  { cwd, stdin, signal }: DenoOptions,
): Promise<DenoResult> {
  if (signal?.aborted) throw new InterruptedError(signal.reason);
  const child = new Deno.Command(deno, {
    args: [...args],
    cwd,
    env: {
      DENO_NO_UPDATE_CHECK: "1",
      DENO_NO_PROMPT: "1",
      NO_COLOR: "1",
      RUST_BACKTRACE: "0",
    },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...(signal && { signal }),
  }).spawn();
  const feed = async () => {
    if (stdin === undefined) return;
    // It may end without having read: what it says then tells more.
    await new Blob([stdin]).stream().pipeTo(child.stdin).catch(() => {});
  };
  const [output] = await Promise.all([child.output(), feed()]);
  if (signal?.aborted) throw new InterruptedError(signal.reason);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

const CachesSchema = v.object({ denoDir: v.string(), npmCache: v.string() });

/**
 * Asks Deno where it keeps what it has downloaded.
 *
 * @param deno Its path.
 * @returns Folders: all of it, and packages of npm.
 */
export async function findCaches(deno: string): Promise<v.InferOutput<typeof CachesSchema>> {
  const args = ["info", "--json", "--no-config"];
  const { stdout } = await runDeno(deno, args, { cwd: "/" });
  return v.parse(CachesSchema, JSON.parse(stdout));
}
