import type { PlatformName } from "../platform.ts";
import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import {
  closed,
  described,
  FileName,
  keyed,
  Platform,
  Reference,
  StringMap,
  Strings,
} from "../schema_parts.ts";
import { compressionEntries, type CompressionOptions, levelFits, UP_TO_9 } from "./compression.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** The `config` of an image, in the words of the OCI image spec. */
export interface ImageConfig {
  /** Arguments of the entry point, or the command. */
  readonly Cmd?: readonly string[];
  /** The command that a container runs. */
  readonly Entrypoint?: readonly string[];
  /** Environment, each `NAME=value`. */
  readonly Env?: readonly string[];
  /** Ports, each `port[/protocol]`. */
  readonly ExposedPorts?: readonly string[];
  /** `user[:group]`, by name or number. */
  readonly User?: string;
  /** Labels of the image. */
  readonly Labels?: Readonly<Record<string, string>>;
  /** The signal that stops a container, such as `SIGINT`. */
  readonly StopSignal?: string;
  /** Folders that are volumes. */
  readonly Volumes?: readonly string[];
  /** The folder that the command starts in. */
  readonly WorkingDir?: string;
}

/** Options of {@linkcode ociArchive}. */
export interface OciArchiveOptions extends CompressionOptions {
  /** Name of the file that the stage makes. */
  readonly filename: string;
  /** Platform of the image; this machine's if absent. */
  readonly platform?: PlatformName;
  /** Name of the image in the archive. */
  readonly name?: string;
  /**
   * What a container of the image runs, and how; if absent, `Cmd` is `["sh"]` and `Env` has a `PATH`,
   * as osbuild has it.
   */
  readonly config?: ImageConfig;
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  /**
   * Whether a name that begins with `.wh.` deletes the file of that name in the layers below, as the
   * OCI image spec has it; such names are refused if absent.
   */
  readonly whiteouts?: boolean;
}

/** A stage that makes an OCI archive from trees, as plain data. */
export interface OciArchiveStage<I extends string = string, S extends string = string>
  extends StageOptions<I, S>, OciArchiveOptions {
  /** The literal that tells stages apart. */
  readonly type: "oci-archive";
}

/** What {@linkcode ociArchive} returns where it stands in its config. */
export interface OciArchiveInPlace<I extends string, S extends string>
  extends OciArchiveStage<I, S>, InPlace {}

const ImageConfigSchema = keyed(closed({
  Cmd: v.exactOptional(described(Strings, "Arguments of the entry point, or the command")),
  Entrypoint: v.exactOptional(described(Strings, "The command that a container runs")),
  Env: v.exactOptional(described(Strings, "Environment, each NAME=value")),
  ExposedPorts: v.exactOptional(described(Strings, "Ports, each port[/protocol]")),
  User: v.exactOptional(described(v.string(), "user[:group], by name or number")),
  Labels: v.exactOptional(described(StringMap, "Labels of the image")),
  StopSignal: v.exactOptional(
    described(v.string(), "The signal that stops a container, such as SIGINT"),
  ),
  Volumes: v.exactOptional(described(Strings, "Folders that are volumes")),
  WorkingDir: v.exactOptional(described(v.string(), "The folder that the command starts in")),
}));

/** The schema of {@linkcode OciArchiveStage}. */
export const OciArchiveSchema = v.pipe(
  closed({
    ...stageEntries,
    type: described(v.literal("oci-archive"), "The literal that tells stages apart"),
    filename: described(FileName, "Name of the file that the stage makes"),
    platform: v.exactOptional(
      described(Platform, "Platform of the image; this machine's if absent"),
    ),
    name: v.exactOptional(described(Reference, "Name of the image in the archive")),
    config: v.exactOptional(
      described(ImageConfigSchema, "What a container of the image runs, and how"),
    ),
    annotations: v.exactOptional(described(StringMap, "Annotations of the manifest")),
    whiteouts: v.exactOptional(
      described(
        v.boolean("true or false"),
        "Whether a name that begins with .wh. deletes the file of that name in the layers below, as the OCI image spec has it; such names are refused if absent",
      ),
    ),
    ...compressionEntries,
  }),
  v.forward(v.partialCheck([["compression"], ["level"]], levelFits("gzip"), UP_TO_9), ["level"]),
);
true satisfies Same<v.InferOutput<typeof OciArchiveSchema>, OciArchiveStage>;

/**
 * Makes an OCI archive from trees, each of which becomes a layer.
 *
 * @param options What every stage takes, and what the image is.
 * @returns The stage, as plain data.
 */
export function ociArchive<I extends string = never, S extends string = never>(
  options: StageOptions<NoInfer<I>, NoInfer<S>> & OciArchiveOptions,
): OciArchiveInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function ociArchive<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & OciArchiveOptions,
): OciArchiveStage<I, S>;
export function ociArchive(options: StageOptions & OciArchiveOptions): OciArchiveStage {
  return { type: "oci-archive", ...options };
}
