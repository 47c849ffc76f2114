import { fromFileUrl } from "@std/path";
import { run, type TempDir } from "../support/mod.ts";

/** What a command line has said. */
export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command line is run. */
export interface CliOptions {
  /** The folder that it is typed in. */
  readonly cwd: string;
  /** Environment besides this process's own, which says nothing to stowage. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The command as a user of a checkout types it. */
export const STOWAGE = fromFileUrl(new URL("../../scripts/stowage", import.meta.url));

/** This process's environment, without what stowage listens to. */
export function cleanEnv(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { NO_COLOR: _color, STOWAGE_STORE: _store, REGISTRY: _registry, ...rest } = Deno.env
    .toObject();
  return { ...rest, ...env };
}

/**
 * Runs stowage in a process of its own, to its end.
 *
 * @param args What stands behind the program's name.
 * @param options Its folder and its environment.
 * @returns What it said.
 */
export async function stowage(args: readonly string[], options: CliOptions): Promise<Said> {
  return await runToEnd("timeout", ["240", "sh", STOWAGE, ...args], options);
}

/**
 * Runs stowage on a terminal of its own.
 *
 * @param command A line of shell; `$stowage` is the program.
 * @param options Its folder and its environment.
 * @returns What it said; a terminal does not tell standard output from standard error.
 */
export async function onTerminal(
  command: string,
  options: CliOptions & {
    /** What somebody types there, all of it at once; nothing if absent. */
    readonly typed?: string;
  },
): Promise<Said> {
  const env = { ...options.env, stowage: `sh ${STOWAGE}`, TERM: "xterm" };
  const args = ["60", "script", "-qefc", command, "/dev/null"];
  return await runToEnd("timeout", args, { ...options, env });
}

async function runToEnd(
  program: string,
  args: string[],
  { cwd, env, typed }: CliOptions & { readonly typed?: string },
): Promise<Said> {
  const process = new Deno.Command(program, {
    args,
    cwd,
    env: cleanEnv(env),
    clearEnv: true,
    stdin: typed === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const typing = typed === undefined ? undefined : process.stdin.getWriter();
  await typing?.write(new TextEncoder().encode(typed));
  const { code, stdout, stderr } = await process.output();
  await typing?.close().catch(() => {}); // who was asked has gone
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/**
 * Writes `images.config.json`.
 *
 * @param dir Where to.
 * @param config Its content.
 */
export async function writeConfig(dir: TempDir, config: unknown): Promise<void> {
  await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config));
}

/**
 * Reads what `--json` printed.
 *
 * @param stdout Standard output.
 * @returns The object of each line.
 */
export function jsonLines(stdout: string): Record<string, unknown>[] {
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/**
 * Looks for programs that outlived stowage.
 *
 * @param text What their command line has, such as the store's folder.
 * @returns The command lines of those that live.
 */
export async function processesWith(text: string): Promise<string[]> {
  const lines = (await run("ps", ["-ww", "-eo", "stat=,args="])).split("\n");
  return lines.filter((line) => line.includes(text) && !line.startsWith("Z"));
}
