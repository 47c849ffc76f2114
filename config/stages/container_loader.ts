import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described } from "../schema_parts.ts";
import { compressionEntries, type CompressionOptions, levelFits, UP_TO_9 } from "./compression.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** Options of {@linkcode containerLoader}. */
export interface ContainerLoaderOptions extends CompressionOptions {
  /**
   * What loads the images: `podman`, `docker` or `containerd` by a unit at boot; `k3s` and `rke2`
   * themselves, from their `agent/images` folder.
   */
  readonly engine: "podman" | "docker" | "containerd" | "k3s" | "rke2";
  /** Whether an archive is deleted once its image was seen. */
  readonly deleteAfterLoad?: boolean;
  /**
   * Whether images go that an earlier release of the system has loaded, and this one has not, once
   * all of its own are there.
   */
  readonly removeReplaced?: boolean;
  /** The namespace of containerd that they go to; `default` if absent, `k8s.io` is Kubernetes'. */
  readonly namespace?: string;
}

/** A stage that puts images into a tree with a unit that loads them, as plain data. */
export interface ContainerLoaderStage<I extends string = string, S extends string = string>
  extends StageOptions<I, S>, ContainerLoaderOptions {
  /** The literal that tells stages apart. */
  readonly type: "container-loader";
}

/** What {@linkcode containerLoader} returns where it stands in its config. */
export interface ContainerLoaderInPlace<I extends string, S extends string>
  extends ContainerLoaderStage<I, S>, InPlace {}

/** The schema of {@linkcode ContainerLoaderStage}. */
export const ContainerLoaderSchema = v.pipe(
  closed({
    ...stageEntries,
    type: described(v.literal("container-loader"), "The literal that tells stages apart"),
    engine: described(
      v.picklist(["podman", "docker", "containerd", "k3s", "rke2"]),
      "What loads the images",
    ),
    deleteAfterLoad: v.exactOptional(
      described(v.boolean(), "Whether an archive is deleted once its image was seen"),
    ),
    removeReplaced: v.exactOptional(
      described(
        v.boolean(),
        "Whether images go that an earlier release has loaded, and this one has not",
      ),
    ),
    namespace: v.exactOptional(
      described(
        v.pipe(
          v.string(),
          v.regex(/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/, "a name of a namespace"),
        ),
        "The namespace of containerd that they go to; `default` if absent",
      ),
    ),
    ...compressionEntries,
  }),
  v.forward(v.partialCheck([["compression"], ["level"]], levelFits("zstd"), UP_TO_9), ["level"]),
);
true satisfies Same<v.InferOutput<typeof ContainerLoaderSchema>, ContainerLoaderStage>;

/**
 * Puts images into a tree such that an engine has them at first boot: with a unit that loads them,
 * or where k3s and rke2 look for them.
 *
 * @param options What every stage takes, and what loads the images.
 * @returns The stage, as plain data.
 */
export function containerLoader<I extends string = never, S extends string = never>(
  options: StageOptions<NoInfer<I>, NoInfer<S>> & ContainerLoaderOptions,
): ContainerLoaderInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function containerLoader<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & ContainerLoaderOptions,
): ContainerLoaderStage<I, S>;
export function containerLoader(
  options: StageOptions & ContainerLoaderOptions,
): ContainerLoaderStage {
  return { type: "container-loader", ...options };
}
