import { join } from "@std/path";
import type { Platform } from "../../config/mod.ts";
import { StageError, ToolError } from "../errors/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { readArchive } from "../tools/skopeo_archive.ts";

/** The archive that another stage made. */
export interface StageOutput {
  /** Name of the stage. */
  readonly stage: string;
  /** Its id, 64 hex digits. */
  readonly stageId: string;
  /** Its finished tree. */
  readonly tree: string;
  /** Name of the file; the first regular file by name if absent. */
  readonly file: string | undefined;
  /** What the image is called where it is installed. */
  readonly names: readonly string[];
}

/** What reading an archive takes. */
export interface ArchiveOptions {
  /** The platform to choose where the archive has several. */
  readonly platform: Platform;
  /** A folder for what is needed no longer than the run. */
  readonly scratch: string;
  /** Ends the run. */
  readonly signal: AbortSignal;
}

/**
 * Gives the archive that another stage made to a stage.
 *
 * @param name Name of the input.
 * @param output The archive.
 * @param options What reading it takes.
 * @returns The input.
 * @throws {StageError} If there is no such file; it lists what is there.
 */
export async function resolveOutput(
  name: string,
  output: StageOutput,
  options: ArchiveOptions,
): Promise<ResolvedInput> {
  const { stage, stageId, tree, names } = output;
  const file = await chooseFile(name, output);
  const path = join(tree, file);
  const { id, digest } = await readArchive(path, options).catch((error) => {
    if (!(error instanceof ToolError)) throw error;
    throw new StageError(name, `"${file}" of stage "${stage}" is no OCI archive`, {
      kind: "input",
      hint: `output() reads what oci-archive makes; inputs.${name}.name chooses another file`,
      log: error.stderr,
      cause: error,
    });
  });
  return {
    id: hashOf({ kind: "output", stageId, file, names }),
    input: {
      name,
      kind: "images",
      images: [{
        format: "oci-archive",
        path,
        id,
        digest,
        names: names.length > 0 ? names : [`localhost/${stage.toLowerCase()}:latest`],
        platform: options.platform,
      }],
    },
  };
}

async function chooseFile(name: string, { stage, tree, file }: StageOutput): Promise<string> {
  const entries = await Array.fromAsync(Deno.readDir(tree));
  const files = entries.filter((entry) => entry.isFile).map((entry) => entry.name).sort();
  const chosen = file === undefined ? files[0] : files.find((each) => each === file);
  if (chosen !== undefined) return chosen;
  const what = file === undefined ? "no file" : `no file "${file}"`;
  const there = entries.map((entry) => entry.isFile ? entry.name : `${entry.name}/`).sort();
  throw new StageError(name, `the tree of stage "${stage}" has ${what} at its root`, {
    kind: "input",
    hint: `it has ${there.join(", ") || "nothing"}`,
  });
}
