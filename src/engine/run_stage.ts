import { join } from "@std/path";
import { StageError } from "../errors.ts";
import type { StageNode } from "../graph/node.ts";
import type { ResolvedInput, StageInput } from "../stage_input.ts";
import { runStage } from "../stages/mod.ts";
import type { StageContext } from "../stages/stage.ts";
import { findIsolation, runInSandbox } from "../tools/sandbox.ts";
import { copyInto } from "../tools/tree.ts";
import type { BuildContext } from "./build.ts";
import { StageLog } from "./stage_log.ts";

/** Where a stage works. */
export interface StagePlace {
  /** The tree that it changes. */
  readonly tree: string;
  /** The folder for what it needs no longer than it runs; not there yet. */
  readonly scratch: string;
  /** The file of its log. */
  readonly log: string;
}

/**
 * Runs a stage whose inputs are known.
 *
 * @param stage The stage.
 * @param place Where it works.
 * @param context What the build takes.
 * @throws {StageError} If it fails.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function runOne(
  { node: { name, stage }, inputs: resolved }: {
    readonly node: Pick<StageNode, "name" | "stage">;
    readonly inputs: readonly ResolvedInput[];
  },
  { tree, scratch, log: logFile }: StagePlace,
  context: BuildContext,
): Promise<void> {
  const { root, epoch, platform, signal, store: { archives } } = context;
  await using log = await StageLog.open(logFile, name);
  const run: StageContext["run"] = async (program, args, options = {}) => {
    const { isLogged = false, ...rest } = options;
    log.add(`$ ${[program, ...args].join(" ")}`);
    const decoder = new TextDecoder();
    const result = await runInSandbox(program, args, {
      ...rest,
      signal,
      ...(isLogged && {
        stdout: new WritableStream({
          write: (chunk) => log.append(decoder.decode(chunk, { stream: true })),
        }),
      }),
      // Each is mounted read-only over itself, for this program only.
      mounts: [...new Set(resolved.flatMap(({ input }) => pathsOf(input)))]
        .map((path) => ({ source: path, target: path })),
      env: { HOME: scratch, TMPDIR: scratch, ...rest.env },
    });
    log.add(result.stderr);
    if (result.code === 0) return result;
    throw new StageError(name, `${program} exited with ${result.code}`, { log: log.text });
  };
  try {
    await Deno.mkdir(scratch, { recursive: true, mode: 0o700 });
    await Deno.mkdir(archives, { recursive: true, mode: 0o755 });
    const isOpen = stage.type === "exec" && await findIsolation() === "none";
    const given = resolved.map(({ input }) => input);
    const inputs = isOpen ? await copyInputs(given, scratch, signal) : given;
    const paths = { tree, scratch, archives, root };
    const add = (line: string) => log.add(line);
    await runStage(stage, { name, inputs, ...paths, epoch, platform, signal, log: add, run });
  } catch (error) {
    const isOfSystem = Object.values(Deno.errors).some((kind) => error instanceof kind);
    if (!isOfSystem || !(error instanceof Error)) throw error;
    const why = error.message.replace(/ \(os error \d+\)/, "").replaceAll(tree, "<tree>");
    throw new StageError(name, why, { log: log.text, cause: error });
  }
}

function pathsOf(input: StageInput): string[] {
  return input.kind === "tree" ? [input.path] : input.images.map(({ path }) => path);
}

/** Where nothing can be mounted, a program that may do anything gets copies. */
async function copyInputs(
  inputs: readonly StageInput[],
  scratch: string,
  signal: AbortSignal,
): Promise<StageInput[]> {
  const copy = async (path: string): Promise<string> => {
    const copied = join(scratch, crypto.randomUUID());
    if ((await Deno.stat(path)).isFile) {
      await Deno.copyFile(path, copied);
    } else {
      await Deno.mkdir(copied);
      await copyInto(path, copied, { signal });
    }
    return copied;
  };
  return await Promise.all(inputs.map(async (input): Promise<StageInput> => {
    if (input.kind === "tree") return { ...input, path: await copy(input.path) };
    const images = input.images.map(async (each) => ({ ...each, path: await copy(each.path) }));
    return { ...input, images: await Promise.all(images) };
  }));
}
