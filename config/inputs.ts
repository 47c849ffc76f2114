import * as v from "valibot";
import type { InPlace } from "./in_place.ts";
import type { Same } from "./same.ts";
import {
  closed,
  described,
  Digest,
  FileName,
  keyed,
  Names,
  orList,
  Path,
  TreePattern,
} from "./schema_parts.ts";
import { type StorageOptions, storagePlace } from "./transports/containers_storage.ts";

/** An image of a source, and the names that it has where it is installed. */
export interface NamedImage<SourceName extends string = string> {
  /** Name of the source. */
  readonly source: SourceName;
  /** One reference or several; the source's own if absent. */
  readonly name?: string | readonly string[];
}

/** For each source its name, or names, where it is installed; or a list of both. */
export type ImageNames<SourceName extends string = string> =
  | Readonly<Partial<Record<SourceName, string | readonly string[]>>>
  | readonly NamedImage<SourceName>[];

/** Images of sources, as plain data. */
export interface ImagesInput<SourceName extends string = string> {
  /** The literal that tells inputs apart. */
  readonly type: "images";
  /** Names by source, or a list of both. */
  readonly images: ImageNames<SourceName>;
}

/** Files of artifacts, as plain data. */
export interface ArtifactsInput<SourceName extends string = string> {
  /** The literal that tells inputs apart. */
  readonly type: "artifacts";
  /** Names of the sources. */
  readonly artifacts: readonly SourceName[];
}

/** An archive that another stage made, as plain data. */
export interface OutputInput<StageName extends string = string> {
  /** The literal that tells inputs apart. */
  readonly type: "output";
  /** Name of the stage. */
  readonly stage: StageName;
  /** Name of the file in that stage's tree; the first by name if absent. */
  readonly name?: string;
  /**
   * What the image is called where it is installed, one reference or several; the archive's own
   * name, or else `localhost/<stage>:latest`, if absent.
   */
  readonly as?: string | readonly string[];
}

/** Which image of a storage of this machine is meant. */
export interface HostImageOptions extends StorageOptions {
  /** Image id, `sha256:…`, as `podman images --no-trunc` shows it. */
  readonly id: string;
}

/** An image in a containers-storage of this machine, as plain data. */
export interface HostImageInput extends HostImageOptions {
  /** The literal that tells inputs apart. */
  readonly type: "host-image";
  /** What the image is called where it is installed: one reference or several. */
  readonly name: string | readonly string[];
}

/**
 * Which part of a tree is meant, by patterns of paths that start at its root: `*` and `?` stand for
 * characters of a name, `**` for folders, `{a,b}` for either. What matches counts with all below it.
 */
export interface TreePatterns {
  /** What is meant, with the folders above it; all if absent. Each has to match something. */
  readonly include?: readonly string[];
  /** What is left out of it. */
  readonly exclude?: readonly string[];
}

/** How stages see the files of a tree, where that is not as they are. */
export interface TreeAttributes {
  /**
   * When files were changed. If absent, all at one date: `SOURCE_DATE_EPOCH`, or else the last commit
   * of the tree in git, or else its newest file. `"clamp"`: when they were, but not after that date;
   * `"keep"`: when they were; `"epoch"`: at `SOURCE_DATE_EPOCH`, or in 1970 without it.
   */
  readonly dates?: "epoch" | "clamp" | "keep";
  /** User id that all files belong to. */
  readonly owner?: number;
  /** Group id that all files belong to. */
  readonly group?: number;
  /**
   * `"normal"` gives modes as git has them, whatever the umask was: 755 for folders and for what
   * anyone can run, 644 for the rest, and no ACLs.
   */
  readonly mode?: "keep" | "normal";
}

/** Which part of a tree is meant, and how stages see it. */
export interface TreeOptions extends TreePatterns, TreeAttributes {}

/** A tree on disk, as plain data. */
export interface FolderInput extends TreeOptions {
  /** The literal that tells inputs apart. */
  readonly type: "tree";
  /** The folder, absolute or relative to the config. */
  readonly path: string;
}

/** The tree of a stage, as plain data. */
export interface StageTreeInput<StageName extends string = string> extends TreeOptions {
  /** The literal that tells inputs apart. */
  readonly type: "tree";
  /** Name of the stage. */
  readonly stage: StageName;
}

/** What {@linkcode images} returns where it stands in its config. */
export interface ImagesInPlace<SourceName extends string>
  extends ImagesInput<SourceName>, InPlace {}
/** What {@linkcode artifacts} returns where it stands in its config. */
export interface ArtifactsInPlace<SourceName extends string>
  extends ArtifactsInput<SourceName>, InPlace {}
/** What {@linkcode output} returns where it stands in its config. */
export interface OutputInPlace<StageName extends string> extends OutputInput<StageName>, InPlace {}
/** What {@linkcode tree} returns of a stage where it stands in its config. */
export interface StageTreeInPlace<StageName extends string>
  extends StageTreeInput<StageName>, InPlace {}

/** A tree, as plain data. */
export type TreeInput<StageName extends string = string> = FolderInput | StageTreeInput<StageName>;

/** An input, as plain data. */
export type Input<SourceName extends string = string, StageName extends string = string> =
  // With no names at all, the compiler would take any record for one of `ImageNames`.
  | ([SourceName] extends [never] ? never : ImagesInput<SourceName>)
  | ([SourceName] extends [never] ? never : ArtifactsInput<SourceName>)
  | OutputInput<StageName>
  | HostImageInput
  | TreeInput<StageName>;

const ImagesSchema = closed({
  type: described(v.literal("images"), "The literal that tells inputs apart"),
  images: described(
    orList(
      keyed(v.record(v.string(), Names, "names by source, or a list of { source, name? }")),
      v.array(
        closed({
          source: described(v.string(), "Name of the source"),
          name: v.exactOptional(
            described(Names, "One reference or several; the source's own if absent"),
          ),
        }),
      ),
    ),
    "Names by source, or a list of both",
  ),
});
true satisfies Same<v.InferOutput<typeof ImagesSchema>, ImagesInput>;

const ArtifactsSchema = closed({
  type: described(v.literal("artifacts"), "The literal that tells inputs apart"),
  artifacts: described(
    v.pipe(v.array(v.string()), v.nonEmpty("at least one source")),
    "Names of the sources",
  ),
});
true satisfies Same<v.InferOutput<typeof ArtifactsSchema>, ArtifactsInput>;

const OutputSchema = closed({
  type: described(v.literal("output"), "The literal that tells inputs apart"),
  stage: described(v.string(), "Name of the stage"),
  name: v.exactOptional(
    described(FileName, "Name of the file in that stage's tree; the first by name if absent"),
  ),
  as: v.exactOptional(
    described(
      Names,
      "What the image is called where it is installed, one reference or several; the archive's own name, or else localhost/<stage>:latest, if absent",
    ),
  ),
});
true satisfies Same<v.InferOutput<typeof OutputSchema>, OutputInput>;

const HostImageSchema = closed({
  type: described(v.literal("host-image"), "The literal that tells inputs apart"),
  name: described(
    Names,
    "What the image is called where it is installed: one reference or several",
  ),
  id: described(Digest, "Image id, sha256:…, as `podman images --no-trunc` shows it"),
  ...storagePlace,
});
true satisfies Same<v.InferOutput<typeof HostImageSchema>, HostImageInput>;

const Id = v.pipe(
  v.number("a number"),
  v.integer("a whole number"),
  v.minValue(0, "0 or more"),
  v.maxValue(2 ** 32 - 2, "at most 4294967294"),
);
const treeOptions = {
  dates: v.exactOptional(
    described(
      v.picklist(["epoch", "clamp", "keep"]),
      'When files were changed. If absent, all at one date: SOURCE_DATE_EPOCH, or else the last commit of the tree in git, or else its newest file. "clamp": when they were, but not after that date; "keep": when they were; "epoch": at SOURCE_DATE_EPOCH, or in 1970 without it',
    ),
  ),
  owner: v.exactOptional(described(Id, "User id that all files belong to")),
  group: v.exactOptional(described(Id, "Group id that all files belong to")),
  mode: v.exactOptional(
    described(
      v.picklist(["keep", "normal"]),
      '"normal" gives modes as git has them, whatever the umask was: 755 for folders and for what anyone can run, 644 for the rest, and no ACLs',
    ),
  ),
  include: v.exactOptional(
    described(
      v.pipe(v.array(TreePattern), v.nonEmpty("at least one pattern")),
      "What is meant, with the folders above it; all if absent",
    ),
  ),
  exclude: v.exactOptional(described(v.array(TreePattern), "What is left out of it")),
};
const FolderSchema = closed({
  type: described(v.literal("tree"), "The literal that tells inputs apart"),
  path: described(Path, "The folder, absolute or relative to the config"),
  ...treeOptions,
});
const StageTreeSchema = closed({
  type: described(v.literal("tree"), "The literal that tells inputs apart"),
  stage: described(v.string(), "Name of the stage"),
  ...treeOptions,
});

const others = [ImagesSchema, ArtifactsSchema, OutputSchema, HostImageSchema] as const;
const anyInput = v.variant("type", [...others, FolderSchema, StageTreeSchema]);
const folderOrOther = v.variant("type", [...others, FolderSchema]);
const stageTreeOrOther = v.variant("type", [...others, StageTreeSchema]);

/** The schema of {@linkcode Input}; the mistakes of a tree are those of the one that was meant. */
export const InputSchema = v.lazy((input) => {
  if (input === undefined) return anyInput;
  return typeof input === "object" && input !== null && "stage" in input
    ? stageTreeOrOther
    : folderOrOther;
});
true satisfies Same<v.InferOutput<typeof InputSchema>, Input>;

/**
 * Images of sources.
 *
 * @param images For each source its name, or names, where it is installed; or a list of
 * `{ source, name }`, where a source may stand more than once.
 * @returns The input, as plain data.
 *
 * @example Usage
 * ```ts
 * import { images } from "@stowage/stowage";
 *
 * images({ proxy: "localhost/caddy:2", agent: ["localhost/agent:1.4", "localhost/agent:latest"] });
 * ```
 */
export function images<SourceName extends string = never>(
  images: ImageNames<NoInfer<SourceName>>,
): ImagesInPlace<SourceName>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param images As above.
 * @returns The input, as plain data.
 */
export function images<const SourceName extends string>(
  // A name that is still empty belongs to the other one, so that editors offer those of the config.
  images:
    & ImageNames<SourceName>
    & (string extends SourceName ? unknown : "" extends SourceName ? never : unknown),
): ImagesInput<SourceName>;
export function images(images: ImageNames): ImagesInput {
  return { type: "images", images };
}

/**
 * Files of artifacts, as a tree that stages read: a folder for each source, with a file for each
 * layer. A file is called as `org.opencontainers.image.title` says, a Helm chart as `helm pull`
 * calls it (`name-version.tgz`), and what has no name by its digest.
 *
 * @param artifacts Names of the sources.
 * @returns The input, as plain data.
 *
 * @example Usage
 * ```ts
 * import { artifact, artifacts, copyTree, defineConfig } from "@stowage/stowage";
 *
 * defineConfig({
 *   sources: { chart: artifact("ghcr.io/acme/charts/web:1.4.0") },
 *   inputs: { charts: artifacts(["chart"]) },
 *   stages: { tree: copyTree({ inputs: ["charts"], to: "/srv/charts" }) },
 * });
 * ```
 */
export function artifacts<SourceName extends string = never>(
  artifacts: readonly NoInfer<SourceName>[],
): ArtifactsInPlace<SourceName>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param artifacts As above.
 * @returns The input, as plain data.
 */
export function artifacts<const SourceName extends string>(
  artifacts: readonly SourceName[],
): ArtifactsInput<SourceName>;
export function artifacts(artifacts: readonly string[]): ArtifactsInput {
  return { type: "artifacts", artifacts };
}

/**
 * The archive that another stage made.
 *
 * @param stage Name of the stage.
 * @param options `name` (the file in that stage's tree; the first regular file by name if absent)
 * and `as` (what the image is called where it is installed).
 * @returns The input, as plain data.
 */
export function output<StageName extends string = never>(
  stage: NoInfer<StageName>,
  options?: Omit<OutputInput, "type" | "stage">,
): OutputInPlace<StageName>;
/**
 * The same by itself: its name is checked when it is put into a config.
 *
 * @param stage As above.
 * @param options As above.
 * @returns The input, as plain data.
 */
export function output<const StageName extends string>(
  stage: StageName,
  options?: Omit<OutputInput, "type" | "stage">,
): OutputInput<StageName>;
export function output(
  stage: string,
  options: Omit<OutputInput, "type" | "stage"> = {},
): OutputInput {
  return { type: "output", stage, ...options };
}

/**
 * An image in a containers-storage of this machine, as podman and skopeo keep it, read where it is,
 * after osbuild's `org.osbuild.containers-storage`: it is not copied into the store. Its id says
 * which it is, and is checked before and after a stage has read it; what it is called there does not
 * count.
 *
 * @param name What the image is called where it is installed: one reference or several.
 * @param options Its `id`; `location` and `driver` of the storage, where that is not the machine's own.
 * @returns The input, as plain data.
 *
 * @example Usage
 * ```ts
 * import { defineConfig, hostImage, unpack } from "@stowage/stowage";
 *
 * defineConfig({
 *   inputs: { base: hostImage("localhost/base:1", { id: `sha256:${"0".repeat(64)}` }) },
 *   stages: { os: unpack({ inputs: ["base"] }) },
 * });
 * ```
 */
export function hostImage(
  name: string | readonly string[],
  options: HostImageOptions,
): HostImageInput {
  return { type: "host-image", name, ...options };
}

/**
 * A tree on disk. Stages see paths, types, modes, owners, links, extended attributes, ACLs and bytes;
 * all have one time unless told, and the folder itself has mode 755. That time is `SOURCE_DATE_EPOCH`;
 * without it that of the last commit in git that changed the tree, or of what is not committed, if
 * later; outside of git that of its newest file or folder.
 *
 * @param path The folder, absolute or relative to the config.
 * @param options Which part of it is meant, all if absent; dates, owners and modes.
 * @returns The input, as plain data.
 */
export function tree(path: string, options?: TreeOptions): FolderInput;
/**
 * The tree of a stage, as another stage reads it: what it sees of that is what it sees of a tree on
 * disk.
 *
 * @param options Name of the stage, which part of its tree is meant, all if absent; dates, owners
 * and modes.
 * @returns The input, as plain data.
 *
 * @example Usage
 * ```ts
 * import { copyTree, defineConfig, ociArchive, tree } from "@stowage/stowage";
 *
 * defineConfig({
 *   inputs: { rootfs: tree("rootfs"), layer: tree({ stage: "os", exclude: ["/var/cache/*"] }) },
 *   stages: {
 *     os: copyTree({ inputs: ["rootfs"] }),
 *     image: ociArchive({ inputs: ["layer"], filename: "os.oci.tar" }),
 *   },
 * });
 * ```
 */
export function tree<StageName extends string = never>(
  options: Omit<StageTreeInput<NoInfer<StageName>>, "type">,
): StageTreeInPlace<StageName>;
/**
 * The same by itself: the name of the stage is checked when it is put into a config.
 *
 * @param options As above.
 * @returns The input, as plain data.
 */
export function tree<const StageName extends string>(
  options: Omit<StageTreeInput<StageName>, "type">,
): StageTreeInput<StageName>;
export function tree(
  what: string | Omit<StageTreeInput, "type">,
  options: TreeOptions = {},
): TreeInput {
  return typeof what === "string"
    ? { type: "tree", path: what, ...options }
    : { type: "tree", ...what };
}
