import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, TreePath, TreePattern } from "../schema_parts.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** Options of {@linkcode unpack}. */
export interface UnpackOptions {
  /** Folder in the tree; its root if absent. */
  readonly to?: string;
  /**
   * What of the image is left out, with all below it: patterns of paths that start at its root, `*`
   * and `?` for characters of a name, `**` for folders, `{a,b}` for either.
   */
  readonly exclude?: readonly string[];
  /** Whether signatures are left behind without a notice; no tree can have them. */
  readonly removeSignatures?: boolean;
}

/** A stage that unpacks an image, as plain data. */
export interface UnpackStage<I extends string = string, S extends string = string>
  extends StageOptions<I, S>, UnpackOptions {
  /** The literal that tells stages apart. */
  readonly type: "unpack";
}

/** What {@linkcode unpack} returns where it stands in its config. */
export interface UnpackInPlace<I extends string, S extends string>
  extends UnpackStage<I, S>, InPlace {}

/** The schema of {@linkcode UnpackStage}. */
export const UnpackSchema = closed({
  ...stageEntries,
  type: described(v.literal("unpack"), "The literal that tells stages apart"),
  to: v.exactOptional(described(TreePath, "Folder in the tree; its root if absent")),
  exclude: v.exactOptional(
    described(v.array(TreePattern), "What of the image is left out, with all below it"),
  ),
  removeSignatures: v.exactOptional(
    described(v.boolean(), "Whether signatures are left behind without a notice"),
  ),
});
true satisfies Same<v.InferOutput<typeof UnpackSchema>, UnpackStage>;

/**
 * Unpacks an image into a tree: its root filesystem with all owners, modes, times, links, devices
 * and attributes that its layers have, as engines do, and osbuild's `org.osbuild.container-deploy`.
 * Owners other than root, and devices, need root.
 *
 * @param options What every stage takes, where the image goes, and what is left out.
 * @returns The stage, as plain data.
 *
 * @example Usage
 * ```ts
 * import { defineConfig, docker, images, unpack } from "@stowage/stowage";
 *
 * export default defineConfig({
 *   sources: { base: docker("quay.io/fedora/fedora-bootc:42") },
 *   inputs: { base: images({ base: "localhost/base:42" }) },
 *   stages: { os: unpack({ inputs: ["base"], exclude: ["/var/cache/*"] }) },
 * });
 * ```
 */
export function unpack<I extends string = never, S extends string = never>(
  options: StageOptions<NoInfer<I>, NoInfer<S>> & UnpackOptions,
): UnpackInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function unpack<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & UnpackOptions,
): UnpackStage<I, S>;
export function unpack(options: StageOptions & UnpackOptions): UnpackStage {
  return { type: "unpack", ...options };
}
