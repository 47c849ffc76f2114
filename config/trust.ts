/** What a signature policy asks of an image, after containers-policy.json(5). */
export type Requirement =
  | {
    /** No image passes; any passes. */
    readonly type: "reject" | "insecureAcceptAnything";
  }
  | {
    /** A GPG signature, or a sigstore one. */
    readonly type: "signedBy" | "sigstoreSigned";
    /** File with the public keys (GPG) or the public key (sigstore), relative to the config. */
    readonly keyPath: string;
  };

/** Which images are trusted, by where they come from. */
export interface Policy {
  /** What is asked where no scope fits. */
  readonly default: Requirement;
  /** What is asked of registries, by scope: a host, a path, or a repository with its tag. */
  readonly docker?: Readonly<Record<string, Requirement>>;
}

/** Where a registry's images may come from as well; only what a digest vouches for. */
export interface Mirror {
  /** `host[:port][/path]`, in place of the registry's own. */
  readonly location: string;
  /** Whether TLS is required and its certificates checked; `true` if absent. */
  readonly tlsVerify?: boolean;
}

/**
 * No image passes.
 *
 * @returns The requirement, as plain data.
 */
export function reject(): Requirement {
  return { type: "reject" };
}

/**
 * Any image passes, signed or not.
 *
 * @returns The requirement, as plain data.
 */
export function insecureAcceptAnything(): Requirement {
  return { type: "insecureAcceptAnything" };
}

/**
 * An image passes if it is signed with one of some GPG keys.
 *
 * @param keyPath File with the public keys, absolute or relative to the config.
 * @returns The requirement, as plain data.
 */
export function signedBy(keyPath: string): Requirement {
  return { type: "signedBy", keyPath };
}

/**
 * An image passes if it is signed with a sigstore key.
 *
 * @param keyPath File with the public key, absolute or relative to the config.
 * @returns The requirement, as plain data.
 */
export function sigstoreSigned(keyPath: string): Requirement {
  return { type: "sigstoreSigned", keyPath };
}
