import type { Driver } from "./storage.ts";

/** What every source takes. */
export interface SourceOptions {
  /** Digest of the manifest or of the index, `sha256:…`, as the registry serves it. */
  readonly digest?: string;
  /** Image id, `sha256:…`: the digest of the image's config, checked after the download. */
  readonly id?: string;
  /** `os/arch[/variant]`, or one of Debian's names such as `armhf`; this machine's if absent. */
  readonly platform?: string;
  /** Several platforms: one image for each, named by its platform. */
  readonly platforms?: readonly string[];
  /**
   * Whether the index is kept too, so that an installed image can be run by its digest; where no
   * platform is named, the images of all its platforms are kept with it.
   */
  readonly index?: boolean;
  /** Where the image may come from instead, tried in order while the image is absent. */
  readonly fallback?: readonly Fallback[];
}

/** How a registry is reached. */
export interface RegistryOptions {
  /** Whether TLS is required and its certificates checked; `true` if absent. */
  readonly tlsVerify?: boolean;
  /** File with credentials, as containers-auth.json(5) has it; the machine's own if absent. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates; `/etc/containers/certs.d/…` if absent. */
  readonly certDir?: string;
}

/** Which containers-storage is meant. */
export interface StorageOptions {
  /** A folder, or `[driver@root+runroot]`; the machine's own storage if absent. */
  readonly location?: string;
  /** The storage's driver; the one in `location`, else the machine's own, if absent. */
  readonly driver?: Driver;
}

/** Which image of a layout or archive is meant. */
export interface ArchiveOptions {
  /** Name of the image, where there are several. */
  readonly image?: string;
}

/** An image in a registry. */
export interface DockerImage extends RegistryOptions {
  /** The transport. */
  readonly type: "docker";
  /** Any reference that docker takes, or isar's URL form of it. */
  readonly reference: string;
}

/** An image in a containers-storage. */
export interface StorageImage extends StorageOptions {
  /** The transport. */
  readonly type: "containers-storage";
  /** Any reference that docker takes; a fallback without one looks for its source's. */
  readonly reference?: string;
}

/** An image in a folder of the `dir` transport. */
export interface DirImage {
  /** The transport. */
  readonly type: "dir";
  /** The folder, absolute or relative to the config. */
  readonly path: string;
}

/** An image in a layout or archive. */
export interface ArchiveImage extends ArchiveOptions {
  /** The transport. */
  readonly type: "oci" | "oci-archive" | "docker-archive";
  /** The file or folder, absolute or relative to the config. */
  readonly path: string;
}

/** Where else a source's image may come from, as plain data. */
export type Fallback = DockerImage | StorageImage | DirImage | ArchiveImage;

/** Where an image comes from and what it must be, as plain data. */
export type Source =
  & SourceOptions
  & (DockerImage | (StorageImage & { readonly reference: string }) | DirImage | ArchiveImage);

/**
 * An image in a registry.
 *
 * @param reference Any reference that docker takes, or isar's
 * `docker://host/image;digest=sha256:…;tag=…`.
 * @param options What every source takes, and how the registry is reached.
 * @returns The source, as plain data; `compile()` checks it.
 *
 * @example Usage
 * ```ts
 * import { containersStorage, docker } from "@stowage/stowage";
 *
 * docker("docker.io/library/caddy:2.8", {
 *   platform: "linux/arm64",
 *   fallback: [containersStorage({ location: "/srv/containers/storage" })],
 * });
 * ```
 */
export function docker(
  reference: string,
  options: SourceOptions & RegistryOptions = {},
): DockerImage & SourceOptions {
  return { type: "docker", reference, ...options };
}

/**
 * An image in a containers-storage of this machine, as podman and skopeo keep it.
 *
 * @param reference Any reference that docker takes.
 * @param options What every source takes, and which storage is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function containersStorage(
  reference: string,
  options?: SourceOptions & StorageOptions,
): StorageImage & SourceOptions & { readonly reference: string };
/**
 * The fallback of a source: the same image in a containers-storage of this machine.
 *
 * @param options Which storage is meant.
 * @returns The fallback, as plain data; `compile()` checks it.
 */
export function containersStorage(options?: StorageOptions): StorageImage;
export function containersStorage(
  reference: string | StorageOptions = {},
  options: SourceOptions & StorageOptions = {},
): StorageImage & SourceOptions {
  return typeof reference === "string"
    ? { type: "containers-storage", reference, ...options }
    : { type: "containers-storage", ...reference };
}

/**
 * An image in a folder of the `dir` transport.
 *
 * @param path The folder, absolute or relative to the config.
 * @param options What every source takes.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromDir(path: string, options: SourceOptions = {}): DirImage & SourceOptions {
  return { type: "dir", path, ...options };
}

/**
 * An image in an OCI image layout.
 *
 * @param path The folder, absolute or relative to the config.
 * @param options What every source takes, and which image of the layout is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromOci(
  path: string,
  options: SourceOptions & ArchiveOptions = {},
): ArchiveImage & SourceOptions {
  return { type: "oci", path, ...options };
}

/**
 * An image in an OCI archive, a tar of an OCI image layout.
 *
 * @param path The file, absolute or relative to the config.
 * @param options What every source takes, and which image of the archive is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromOciArchive(
  path: string,
  options: SourceOptions & ArchiveOptions = {},
): ArchiveImage & SourceOptions {
  return { type: "oci-archive", path, ...options };
}

/**
 * An image in a docker archive, as `docker save` writes it.
 *
 * @param path The file, absolute or relative to the config.
 * @param options What every source takes, and which image of the archive is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromDockerArchive(
  path: string,
  options: SourceOptions & ArchiveOptions = {},
): ArchiveImage & SourceOptions {
  return { type: "docker-archive", path, ...options };
}
