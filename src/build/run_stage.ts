import type { Run } from "../run.ts";
import { StageError, StowageError } from "../errors/mod.ts";
import { codeOf } from "../lib/fs/files.ts";
import type { MadeImage } from "../events.ts";
import type { StageNode } from "../graph/node.ts";
import type { GivenInput, ResolvedInput, StageInput } from "../stage_input.ts";
import { type StageContext, stageKind } from "../stages/mod.ts";
import { runInSandbox } from "../tools/sandbox.ts";
import { fingerprint } from "../tools/tree.ts";
import { prepareInputs } from "./prepare_inputs.ts";
import { StageLog } from "./stage_log.ts";

/** Where a stage works. */
export interface StagePlace {
  /** The tree that it changes. */
  readonly tree: string;
  /** The folder for what it needs no longer than it runs; not there yet. */
  readonly scratch: string;
  /** Another one, on the file system of the store; not there yet. */
  readonly staging: string;
  /** The file of its log. */
  readonly log: string;
}

/**
 * Runs a stage whose inputs are known.
 *
 * @param stage The stage.
 * @param place Where it works.
 * @param run The run.
 * @returns The images that it has made or installed.
 * @throws {StageError} If it fails.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function runOne(
  { node: { name, stage }, inputs: resolved, epoch }: {
    readonly node: Pick<StageNode, "name" | "stage">;
    readonly inputs: readonly ResolvedInput[];
    readonly epoch: number;
  },
  { tree, scratch, staging, log: logFile }: StagePlace,
  run: Run,
): Promise<MadeImage[]> {
  const { root, platform, signal, reach, emit } = run;
  const { archives, sources } = run.store;
  const kind = stageKind(stage);
  const mounts = new Set<string>();
  const images: MadeImage[] = [];
  await using log = await StageLog.open(logFile, name);
  const start: StageContext["run"] = async (program, args, options = {}) => {
    const { isLogged = false, words = (stderr) => stderr, hint: own, ...rest } = options;
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
    log.add(words(result.stderr));
    if (result.code === 0) return result;
    const hint = own?.(log.text) ?? hintFor(log.text);
    throw new StageError(name, `${program} exited with ${result.code}`, {
      log: log.text,
      ...(hint !== undefined && { hint }),
    });
  };
  try {
    await Deno.mkdir(scratch, { recursive: true, mode: 0o700 });
    await Deno.mkdir(staging, { recursive: true, mode: 0o700 });
    await Deno.mkdir(archives, { recursive: true, mode: 0o755 });
    const declared = resolved.map(({ input }) => input);
    const inputs = await prepareInputs(kind.access, declared, {
      ...{ staging, epoch, signal },
      async copyHost(input, image, to) {
        const { HostImages } = await import("../sources/host_images.ts");
        return await new HostImages(input, run).copy(image, to);
      },
    });
    // Of images, which may be many, one mount has all.
    for (const path of kind.access === "own" ? [] : inputs.flatMap(pathsOf)) {
      mounts.add(path.startsWith(`${sources}/`) ? sources : path);
    }
    const paths = { tree, scratch, staging, archives, root };
    const registriesD = async () => (await run.trust.reach()).registriesD;
    const tell = {
      log: (line: string) => log.add(line),
      made: (image: MadeImage) => void images.push(image),
      notice: (message: string) => {
        log.add(message);
        emit({ type: "notice", code: "LEFT_OUT", message });
      },
    };
    const before = await Deno.lstat(tree);
    const given = { ...paths, registriesD, reach, epoch, platform, signal };
    await kind.run(stage, { name, inputs, ...given, ...tell, run: start });
    await refuseChanged(name, declared, signal);
    const after = await Deno.lstat(tree).catch(() => undefined);
    // What is kept must not be somebody else's files.
    if (before.isDirectory && !after?.isDirectory) {
      throw new StageError(name, "it has put something else in the place of its tree", {
        hint: "change what is in the folder of the tree, and leave the folder itself",
      });
    }
    return images;
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

/** What a stage has read must be what its id says: what was hashed before it ran. */
async function refuseChanged(
  name: string,
  inputs: readonly StageInput[],
  signal: AbortSignal,
): Promise<void> {
  for (const input of inputs) {
    if (input.kind !== "tree" || input.fingerprint === undefined) continue;
    if (await fingerprint(input.path, { signal, changes: true }) === input.fingerprint) continue;
    throw new StageError(name, `"${input.path}" was changed while the build read it`, {
      hint: `run it again when nothing writes to the folder of input "${input.name}"`,
    });
  }
}

/** What programs of all kinds say in the same words. */
function hintFor(log: string): string | undefined {
  if (/no space left on device|wrote only \d+ of \d+ bytes/i.test(log)) {
    return "free some room, or choose another store with --store or STOWAGE_STORE";
  }
  if (/network is unreachable|could not resolve|name resolution|failed to connect/i.test(log)) {
    return "stages have no network; an exec stage that needs one says network: true";
  }
  return undefined;
}

function pathsOf(input: GivenInput): string[] {
  return input.kind === "tree" ? [input.path] : input.images.map(({ path }) => path);
}
