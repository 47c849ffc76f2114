import type { RegistryOptions } from "./sources.ts";
import type { Driver } from "./storage.ts";

/** What every stage takes. */
export interface StageOptions<
  InputName extends string = string,
  StageName extends string = string,
> {
  /** Names of the inputs that the stage reads. */
  readonly inputs: readonly InputName[];
  /** Name of the stage whose tree this one continues; an empty tree if absent. */
  readonly on?: StageName;
}

/** How an archive is compressed. */
export interface CompressionOptions {
  /** Compressor; each stage has a default of its own. */
  readonly compression?: "gzip" | "zstd" | "none";
  /** Level of the compressor, from 1 to 9 for gzip, to 19 for zstd. */
  readonly level?: number;
}

/** Images into a container storage, below the tree. */
export interface StorageDestination {
  /** The transport. */
  readonly type: "containers-storage";
  /** Graph root in the tree; `/var/lib/containers/storage` if absent. */
  readonly path?: string;
  /** Storage driver; `overlay` if absent. */
  readonly driver?: Driver;
}

/** Images into a file or folder, below the tree. */
export interface PathDestination {
  /** The transport. */
  readonly type: "oci" | "oci-archive" | "dir" | "docker-archive";
  /** The file or folder in the tree. */
  readonly path: string;
}

/** Images into the registries that their names say. */
export interface RegistryDestination extends RegistryOptions {
  /** The transport. */
  readonly type: "docker";
}

/** Where `install` puts images. */
export type Destination = StorageDestination | PathDestination | RegistryDestination;

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
  readonly platform?: string;
  /** Name of the image in the archive. */
  readonly name?: string;
  /** What a container of the image runs, and how. */
  readonly config?: ImageConfig;
  /** Annotations of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Options of {@linkcode dockerArchive}. */
export interface DockerArchiveOptions extends CompressionOptions {
  /** Folder in the tree; its root if absent. */
  readonly path?: string;
}

/** Options of {@linkcode containerLoader}. */
export interface ContainerLoaderOptions extends CompressionOptions {
  /** What loads the images at first boot. */
  readonly engine: "podman" | "docker";
  /** Whether an archive is deleted once its image was seen. */
  readonly deleteAfterLoad?: boolean;
}

/** Options of {@linkcode copyTree}. */
export interface CopyTreeOptions {
  /** Folder in the tree; its root if absent. */
  readonly to?: string;
}

/** Options of {@linkcode exec}. */
export interface ExecOptions {
  /** Program and arguments; no shell reads them. */
  readonly command: readonly string[];
  /** Environment; of this machine's own, only `PATH` is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the command may use the network. */
  readonly network?: boolean;
}

/** The options of each type of stage. */
export interface StageOptionsByType {
  /** Images into a tree, an archive or a registry. */
  "install": InstallOptions;
  /** Trees into an OCI archive. */
  "oci-archive": OciArchiveOptions;
  /** Images into docker archives. */
  "docker-archive": DockerArchiveOptions;
  /** Images and the unit that loads them. */
  "container-loader": ContainerLoaderOptions;
  /** Trees into a tree. */
  "copy-tree": CopyTreeOptions;
  /** A command. */
  "exec": ExecOptions;
}

/** A stage of one type, as plain data. */
export type StageOf<
  Type extends keyof StageOptionsByType,
  InputName extends string = string,
  StageName extends string = string,
> =
  & { readonly type: Type }
  & StageOptionsByType[Type]
  & (Type extends "exec" ? Partial<StageOptions<InputName, StageName>>
    : StageOptions<InputName, StageName>);

/** A stage, as plain data. */
export type Stage<InputName extends string = string, StageName extends string = string> = {
  [Type in keyof StageOptionsByType]: StageOf<Type, InputName, StageName>;
}[keyof StageOptionsByType];

/**
 * Installs images into a tree: into its container storage, as an archive or folder, or into a
 * registry.
 *
 * @param options What every stage takes, and where the images go.
 * @returns The stage, as plain data.
 */
export function install<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & InstallOptions,
): StageOf<"install", I, S> {
  return { type: "install", ...options };
}

/**
 * Makes an OCI archive from trees, each of which becomes a layer.
 *
 * @param options What every stage takes, and what the image is.
 * @returns The stage, as plain data.
 */
export function ociArchive<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & OciArchiveOptions,
): StageOf<"oci-archive", I, S> {
  return { type: "oci-archive", ...options };
}

/**
 * Writes images as docker archives, each with its name and tag.
 *
 * @param options What every stage takes, and how the archives are compressed.
 * @returns The stage, as plain data.
 */
export function dockerArchive<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & DockerArchiveOptions,
): StageOf<"docker-archive", I, S> {
  return { type: "docker-archive", ...options };
}

/**
 * Puts images into a tree with a unit that loads them at first boot.
 *
 * @param options What every stage takes, and what loads the images.
 * @returns The stage, as plain data.
 */
export function containerLoader<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & ContainerLoaderOptions,
): StageOf<"container-loader", I, S> {
  return { type: "container-loader", ...options };
}

/**
 * Copies trees into a tree.
 *
 * @param options What every stage takes, and where the trees go.
 * @returns The stage, as plain data.
 */
export function copyTree<const I extends string, const S extends string = never>(
  options: StageOptions<I, S> & CopyTreeOptions,
): StageOf<"copy-tree", I, S> {
  return { type: "copy-tree", ...options };
}

/**
 * Runs a command with the tree as its working folder, without network unless it asks for it. Where
 * its inputs are, it learns from `STOWAGE_INPUT_<NAME>`: a folder for a tree or an image, several
 * images one a line. It is no jail: a command can change other files of this machine.
 *
 * @param options The command; the inputs and the tree that it needs, if any.
 * @returns The stage, as plain data.
 */
export function exec<const I extends string = never, const S extends string = never>(
  options: Partial<StageOptions<I, S>> & ExecOptions,
): StageOf<"exec", I, S> {
  return { type: "exec", ...options };
}
