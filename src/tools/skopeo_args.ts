import type { Driver, Platform } from "../../config/mod.ts";
import type { SkopeoImageOptions } from "./skopeo.ts";

/** Where an image is, or goes, in the parts that containers-transports(5) has. */
export type SkopeoImage =
  | {
    /** The transport. */
    readonly transport: "docker";
    /** Name of the image. */
    readonly name: string;
  }
  | {
    /** The transport. */
    readonly transport: "containers-storage";
    /** Storage driver. */
    readonly driver: Driver;
    /** Graph root; without characters that skopeo takes for separators. */
    readonly root: string;
    /** Run root; the same. */
    readonly runRoot: string;
    /** Name of the image. */
    readonly name: string;
  }
  | {
    /** The transport. */
    readonly transport: "dir" | "oci" | "oci-archive" | "docker-archive";
    /** The file or folder; without colons, but for `dir`. */
    readonly path: string;
    /** Name of the image; `dir` has no room for it. */
    readonly name?: string;
  };

/**
 * Writes where an image is as skopeo reads it.
 *
 * @param image The image.
 * @returns `transport:details`.
 */
export function formatImage(image: SkopeoImage): string {
  switch (image.transport) {
    case "docker":
      return `docker://${image.name}`;
    case "containers-storage":
      return `containers-storage:[${image.driver}@${image.root}+${image.runRoot}]${image.name}`;
    case "dir":
      return `dir:${image.path}`;
    default:
      return `${image.transport}:${image.path}${image.name === undefined ? "" : `:${image.name}`}`;
  }
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
 * Tells skopeo how a registry is reached.
 *
 * @param how How it is reached.
 * @param side What the flags of a command begin with: `dest-`, `src-`, or nothing.
 * @returns Flags, to stand behind its command.
 */
export function accessFlags(
  { tlsVerify, authFile, certDir }: SkopeoImageOptions,
  side: "src-" | "dest-" | "",
): string[] {
  return [
    ...(tlsVerify === false ? [`--${side}tls-verify=false`] : []),
    ...(authFile ? [`--${side}authfile`, authFile] : []),
    ...(certDir ? [`--${side}cert-dir`, certDir] : []),
  ];
}
