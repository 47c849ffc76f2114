import { resolve } from "@std/path";
import type { Reference } from "../../../config/reference.ts";
import type { Identity } from "./http_clients.ts";

/** How a registry is reached. */
export interface RegistryOptions {
  /** Whether TLS is required and its certificates checked. */
  readonly tlsVerify?: boolean;
  /** File with credentials. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates. */
  readonly certDir?: string;
  /**
   * How long it may take to begin to answer a question, in ms; as long as anything if absent. Who
   * takes longer is not asked again.
   */
  readonly answersWithin?: number;
}

/** A repository, and how it is reached. */
export interface Site extends Identity {
  /** Path of the repository. */
  readonly path: string;
  /** The host that is asked, with its port. */
  readonly host: string;
  /** Whether plain HTTP will do, where HTTPS does not work. */
  readonly isInsecure: boolean;
  /** File with credentials, instead of the machine's own. */
  readonly authFile: string | undefined;
  /** What a token is asked for, as the token protocol has it; to pull from it if absent. */
  readonly scopes?: readonly string[];
}

/** The protocol that a registry is reached by. */
export type Scheme = "https" | "http";

/** How a registry was reached. */
export interface Reached {
  /** The protocol. */
  readonly scheme: Scheme;
  /** Whether plain HTTP would have done, and any certificate. */
  readonly isInsecure: boolean;
}

/**
 * Says how a repository is reached.
 *
 * @param reference An image of it.
 * @param isInsecure Whether registries.conf calls it so.
 * @param how What the config says.
 * @returns The repository.
 */
export function toSite(
  { domain, path }: Reference,
  isInsecure: boolean,
  { tlsVerify, authFile, certDir, answersWithin }: RegistryOptions,
): Site {
  // The name of Docker Hub is not where it is.
  const host = domain === "docker.io" ? "registry-1.docker.io" : domain;
  return {
    ...{ domain, path, host, isInsecure: isInsecure || tlsVerify === false, authFile, certDir },
    ...(answersWithin !== undefined && { answersWithin }),
  };
}

/**
 * Says where the files are that reaching a registry takes.
 *
 * @param how How it is reached.
 * @param root Folder that relative paths start from.
 * @returns The same, with its paths absolute.
 */
export function withRoot<How extends RegistryOptions>(how: How, root: string): How {
  const { authFile, certDir } = how;
  return {
    ...how,
    ...(authFile && { authFile: resolve(root, authFile) }),
    ...(certDir && { certDir: resolve(root, certDir) }),
  };
}

/** As skopeo asks for them. */
export const MANIFEST_TYPES: string = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.index.v1+json",
].join(", ");
