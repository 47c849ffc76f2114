import * as v from "valibot";
import type { Same } from "../same.ts";
import { closed, TreePath, TreePattern } from "../schema_parts.ts";
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

/** The schema of {@linkcode UnpackStage}. */
export const UnpackSchema = closed({
  ...stageEntries,
  type: v.literal("unpack"),
  to: v.exactOptional(TreePath),
  exclude: v.exactOptional(v.array(TreePattern)),
  removeSignatures: v.exactOptional(v.boolean()),
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
export function unpack<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & UnpackOptions,
): UnpackStage<I, S> {
  return { type: "unpack", ...options };
}
