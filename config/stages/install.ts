import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, Path } from "../schema_parts.ts";
import { type Destination, DestinationSchema } from "./destinations.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** Options of {@linkcode install}. */
export interface InstallOptions {
  /** Where the images go. */
  readonly destination: Destination;
  /** An OS tree that another tool made, changed in place, instead of a tree of its own. */
  readonly into?: string;
  /** Whether signatures are left behind; needed where the destination cannot hold them. */
  readonly removeSignatures?: boolean;
  /** Whether the tree's `storage.conf` names the path as an additional image store. */
  readonly additionalImageStore?: boolean;
}

/** A stage that installs images, as plain data. */
export interface InstallStage<I extends string = string, S extends string = string>
  extends StageOptions<I, S>, InstallOptions {
  /** The literal that tells stages apart. */
  readonly type: "install";
}

/** What {@linkcode install} returns where it stands in its config. */
export interface InstallInPlace<I extends string, S extends string>
  extends InstallStage<I, S>, InPlace {}

/** The schema of {@linkcode InstallStage}. */
export const InstallSchema = closed({
  ...stageEntries,
  type: described(v.literal("install"), "The literal that tells stages apart"),
  destination: described(DestinationSchema, "Where the images go"),
  into: v.exactOptional(
    described(
      Path,
      "An OS tree that another tool made, changed in place, instead of a tree of its own",
    ),
  ),
  removeSignatures: v.exactOptional(
    described(
      v.boolean(),
      "Whether signatures are left behind; needed where the destination cannot hold them",
    ),
  ),
  additionalImageStore: v.exactOptional(
    described(
      v.boolean(),
      "Whether the tree's storage.conf names the path as an additional image store",
    ),
  ),
});
true satisfies Same<v.InferOutput<typeof InstallSchema>, InstallStage>;

/**
 * Installs images into a tree: into its container storage, as an archive or folder, or into a
 * registry.
 *
 * @param options What every stage takes, and where the images go.
 * @returns The stage, as plain data.
 */
export function install<I extends string = never, S extends string = never>(
  options: StageOptions<NoInfer<I>, NoInfer<S>> & InstallOptions,
): InstallInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function install<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & InstallOptions,
): InstallStage<I, S>;
export function install(options: StageOptions & InstallOptions): InstallStage {
  return { type: "install", ...options };
}
