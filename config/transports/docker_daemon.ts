import * as v from "valibot";
import { DaemonHost, described, Path, Reference } from "../schema_parts.ts";
import type { SourceOptions } from "../sources.ts";

/** How a docker daemon is reached. */
export interface DaemonOptions {
  /**
   * Where it listens: `unix:///run/podman/podman.sock`, `tcp://host:2376` with TLS, or
   * `http://host:2375` without; `unix:///var/run/docker.sock` if absent.
   */
  readonly daemonHost?: string;
  /** Whether its certificate is checked, where it has one; `true` if absent. */
  readonly tlsVerify?: boolean;
  /** Folder with `ca.pem`, `cert.pem` and `key.pem`; none if absent. */
  readonly certDir?: string;
}

/** An image in a docker daemon. */
export interface DaemonImage extends DaemonOptions {
  /** The transport. */
  readonly type: "docker-daemon";
  /** Any reference that docker takes; a fallback without one looks for its source's. */
  readonly reference?: string;
}

/** How a docker daemon is reached. */
export const daemonEntries = {
  daemonHost: v.exactOptional(described(
    DaemonHost,
    "Where it listens: unix:///run/podman/podman.sock, tcp://host:2376 with TLS, or http://host:2375 without; unix:///var/run/docker.sock if absent",
  )),
  tlsVerify: v.exactOptional(
    described(v.boolean(), "Whether its certificate is checked, where it has one; true if absent"),
  ),
  certDir: v.exactOptional(
    described(Path, "Folder with ca.pem, cert.pem and key.pem; none if absent"),
  ),
};

/** The schema's part of {@linkcode DaemonImage}; a source needs a reference of its own. */
export const daemonImageEntries = {
  type: described(v.literal("docker-daemon"), "The transport"),
  reference: v.exactOptional(
    described(
      Reference,
      "Any reference that docker takes; a fallback without one looks for its source's",
    ),
  ),
  ...daemonEntries,
};

/**
 * An image in a docker daemon, or in what speaks as one, such as `podman system service`.
 *
 * @param reference Any reference that docker takes.
 * @param options What every source takes, and how the daemon is reached.
 * @returns The source, as plain data; `compile()` checks it.
 *
 * @example Usage
 * ```ts
 * import { dockerDaemon } from "@stowage/stowage";
 *
 * dockerDaemon("localhost/app:1", { daemonHost: "unix:///run/podman/podman.sock" });
 * ```
 */
export function dockerDaemon(
  reference: string,
  options?: SourceOptions & DaemonOptions,
): DaemonImage & SourceOptions & { readonly reference: string };
/**
 * The fallback of a source: the same image in a docker daemon.
 *
 * @param options How the daemon is reached.
 * @returns The fallback, as plain data; `compile()` checks it.
 */
export function dockerDaemon(options?: DaemonOptions): DaemonImage;
export function dockerDaemon(
  reference: string | DaemonOptions = {},
  options: SourceOptions & DaemonOptions = {},
): DaemonImage & SourceOptions {
  return typeof reference === "string"
    ? { type: "docker-daemon", reference, ...options }
    : { type: "docker-daemon", ...reference };
}
