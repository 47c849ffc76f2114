import { type Driver, formatReference, type Platform, type Reference } from "../../config/mod.ts";

/** Where an image is, or goes, in the parts that containers-transports(5) has. */
export interface SkopeoImage {
  /** The transport. */
  readonly transport: string;
  /** The storage that it is in; in paths no characters that skopeo takes for separators. */
  readonly storage?: {
    /** Storage driver. */
    readonly driver: Driver;
    /** Graph root. */
    readonly root: string;
    /** Run root; the machine's own if absent. */
    readonly runRoot?: string;
  };
  /** The file or folder; without colons where a name may follow. */
  readonly path?: string;
  /** What it is called there. */
  readonly name?: string | Reference;
}

/** How skopeo reaches an image, beside its name. */
export interface SkopeoAccess {
  /** Whether TLS is required and its certificates checked. */
  readonly tlsVerify?: boolean;
  /** File with credentials. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates. */
  readonly certDir?: string;
  /** Where the docker daemon listens that has it; docker's own socket if absent. */
  readonly daemonHost?: string;
}

/** The one transport whose references are written as URLs. */
const URLS = "docker";

/**
 * Writes where an image is as skopeo reads it.
 *
 * @param image The image.
 * @returns `transport:details`.
 */
export function formatImage({ transport, storage, path = "", name }: SkopeoImage): string {
  const graph = storage
    ? `[${storage.driver}@${storage.root}${storage.runRoot ? `+${storage.runRoot}` : ""}]`
    : "";
  const called = typeof name === "object" ? formatReference(name) : name;
  const details = [path, called].filter((part) => part).join(":");
  return `${transport}:${transport === URLS ? "//" : ""}${graph}${details}`;
}

/**
 * Tells skopeo which platform to choose, where there is a choice.
 *
 * @param platform The platform.
 * @returns Flags, to stand before its command.
 */
export function platformFlags({ os, architecture, variant }: Platform): string[] {
  return [
    ...["--override-os", os, "--override-arch", architecture],
    ...(variant ? ["--override-variant", variant] : []),
  ];
}

/**
 * Tells skopeo where signatures of registries' images are, and go.
 *
 * @param folder The folder, containers-registries.d(5); this machine's own if absent.
 * @returns Flags, to stand before its command.
 */
export function signatureFlags(folder: string | undefined): string[] {
  return folder === undefined ? [] : ["--registries.d", folder];
}

/**
 * Tells skopeo how a registry is reached.
 *
 * @param how How it is reached.
 * @param side What the flags of a command begin with: `dest-`, `src-`, or nothing.
 * @returns Flags, to stand behind its command.
 */
export function accessFlags(
  { tlsVerify, authFile, certDir, daemonHost }: SkopeoAccess,
  side: "src-" | "dest-" | "",
): string[] {
  return [
    ...(tlsVerify === false ? [`--${side}tls-verify=false`] : []),
    ...(authFile ? [`--${side}authfile`, authFile] : []),
    ...(certDir ? [`--${side}cert-dir`, certDir] : []),
    ...(daemonHost ? [`--${side}daemon-host`, daemonHost] : []),
  ];
}
