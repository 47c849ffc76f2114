import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, TreePath } from "../schema_parts.ts";
import { compressionEntries, type CompressionOptions, levelFits, UP_TO_9 } from "./compression.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** Options of {@linkcode dockerArchive}. */
export interface DockerArchiveOptions extends CompressionOptions {
  /** Folder in the tree; its root if absent. */
  readonly path?: string;
}

/** A stage that writes images as docker archives, as plain data. */
export interface DockerArchiveStage<I extends string = string, S extends string = string>
  extends StageOptions<I, S>, DockerArchiveOptions {
  /** The literal that tells stages apart. */
  readonly type: "docker-archive";
}

/** What {@linkcode dockerArchive} returns where it stands in its config. */
export interface DockerArchiveInPlace<I extends string, S extends string>
  extends DockerArchiveStage<I, S>, InPlace {}

/** The schema of {@linkcode DockerArchiveStage}. */
export const DockerArchiveSchema = v.pipe(
  closed({
    ...stageEntries,
    type: described(v.literal("docker-archive"), "The literal that tells stages apart"),
    path: v.exactOptional(described(TreePath, "Folder in the tree; its root if absent")),
    ...compressionEntries,
  }),
  v.forward(v.partialCheck([["compression"], ["level"]], levelFits("zstd"), UP_TO_9), ["level"]),
);
true satisfies Same<v.InferOutput<typeof DockerArchiveSchema>, DockerArchiveStage>;

/**
 * Writes images as docker archives, each with its name and tag.
 *
 * @param options What every stage takes, and how the archives are compressed.
 * @returns The stage, as plain data.
 */
export function dockerArchive<I extends string = never, S extends string = never>(
  options: StageOptions<NoInfer<I>, NoInfer<S>> & DockerArchiveOptions,
): DockerArchiveInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function dockerArchive<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & DockerArchiveOptions,
): DockerArchiveStage<I, S>;
export function dockerArchive(options: StageOptions & DockerArchiveOptions): DockerArchiveStage {
  return { type: "docker-archive", ...options };
}
