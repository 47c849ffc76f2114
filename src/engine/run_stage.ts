import { join } from "@std/path";
import { StageError, StowageError } from "../errors.ts";
import { codeOf } from "../store/files.ts";
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
  const { root, epoch, platform, signal, store: { archives, sources } } = context;
  const given = new Set(resolved.flatMap(({ input }) => pathsOf(input)));
  // One mount for all images, which may be many.
  const mounts = new Set(
    given.values().map((path) => path.startsWith(`${sources}/`) ? sources : path),
  );
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
      mounts: [...mounts].map((path) => ({ source: path, target: path })),
      env: { HOME: scratch, TMPDIR: scratch, ...rest.env },
    });
    log.add(result.stderr);
    if (result.code === 0) return result;
    const hint = hintFor(log.text);
    throw new StageError(name, `${program} exited with ${result.code}`, {
      log: log.text,
      ...(hint !== undefined && { hint }),
    });
  };
  try {
    await Deno.mkdir(scratch, { recursive: true, mode: 0o700 });
    await Deno.mkdir(archives, { recursive: true, mode: 0o755 });
    const isOpen = stage.type === "exec" && await findIsolation() === "none";
    const declared = resolved.map(({ input }) => input);
    const inputs = isOpen ? await copyInputs(declared, scratch, signal) : declared;
    const paths = { tree, scratch, archives, root };
    const add = (line: string) => log.add(line);
    await runStage(stage, { name, inputs, ...paths, epoch, platform, signal, log: add, run });
  } catch (error) {
    if (error instanceof StowageError || !(error instanceof Error)) throw error;
    const isOfSystem = codeOf(error) !== undefined ||
      Object.values(Deno.errors).some((kind) => error instanceof kind);
    if (!isOfSystem) throw error;
    const why = error.message.replace(/ \(os error \d+\)/, "").replaceAll(tree, "<tree>");
    const hint = hintFor(why);
    throw new StageError(name, why, { log: log.text, cause: error, ...(hint && { hint }) });
  }
}

/** What programs of all kinds say in the same words. */
function hintFor(log: string): string | undefined {
  if (/no space left on device/i.test(log)) {
    return "free some room, or choose another store with --store or STOWAGE_STORE";
  }
  if (/network is unreachable|could not resolve|name resolution|failed to connect/i.test(log)) {
    return "stages have no network; an exec stage that needs one says network: true";
  }
  return undefined;
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
