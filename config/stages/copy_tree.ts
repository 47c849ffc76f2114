import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, TreePath } from "../schema_parts.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** Options of {@linkcode copyTree}. */
export interface CopyTreeOptions {
  /** Folder in the tree; its root if absent. */
  readonly to?: string;
}

/** A stage that copies trees, as plain data. */
export interface CopyTreeStage<I extends string = string, S extends string = string>
  extends StageOptions<I, S>, CopyTreeOptions {
  /** The literal that tells stages apart. */
  readonly type: "copy-tree";
}

/** What {@linkcode copyTree} returns where it stands in its config. */
export interface CopyTreeInPlace<I extends string, S extends string>
  extends CopyTreeStage<I, S>, InPlace {}

/** The schema of {@linkcode CopyTreeStage}. */
export const CopyTreeSchema = closed({
  ...stageEntries,
  type: described(v.literal("copy-tree"), "The literal that tells stages apart"),
  to: v.exactOptional(described(TreePath, "Folder in the tree; its root if absent")),
});
true satisfies Same<v.InferOutput<typeof CopyTreeSchema>, CopyTreeStage>;

/**
 * Copies trees into a tree.
 *
 * @param options What every stage takes, and where the trees go.
 * @returns The stage, as plain data.
 */
export function copyTree<I extends string = never, S extends string = never>(
  options: StageOptions<NoInfer<I>, NoInfer<S>> & CopyTreeOptions,
): CopyTreeInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function copyTree<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & CopyTreeOptions,
): CopyTreeStage<I, S>;
export function copyTree(options: StageOptions & CopyTreeOptions): CopyTreeStage {
  return { type: "copy-tree", ...options };
}
