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
    /** Which name the signature has to be for; `matchRepoDigestOrExact` if absent. */
    readonly signedIdentity?:
      | {
        /**
         * The image's own name: with its tag (`matchExact`), its repository (`matchRepository`), or
         * the repository if the config pins the image by digest, else with its tag.
         */
        readonly type: "matchExact" | "matchRepoDigestOrExact" | "matchRepository";
      }
      | {
        /** One name with its tag, whatever the image is called here. */
        readonly type: "exactReference";
        /** The name. */
        readonly dockerReference: string;
      }
      | {
        /** One repository, whatever the image is called here. */
        readonly type: "exactRepository";
        /** The repository. */
        readonly dockerRepository: string;
      }
      | {
        /** The name that the image had before it was copied to where it is. */
        readonly type: "remapIdentity";
        /** How names begin where the image is. */
        readonly prefix: string;
        /** How they began where it was signed. */
        readonly signedPrefix: string;
      };
  };

/**
 * Which images are trusted, by where they come from. It is asked of each image that is fetched, and
 * again of what the store has, by the signatures that are kept with it: what another config or an
 * older policy let in does not pass for accepted. Manifests are read before it is asked, so `plan`
 * and `lock` do not need the keys; nothing gets into the store, or out of it into a stage, unasked.
 */
export interface Policy {
  /**
   * What is asked where no scope fits, and of all that is no registry: storages, folders, archives,
   * those that an old osbuild left in the store as well. Those hold no signatures (but for storages
   * and folders of the `dir` transport): with `reject` or `signedBy` here they cannot be used, also
   * not as a fallback.
   */
  readonly default: Requirement;
  /**
   * What is asked of registries, by scope; the longest that fits counts: `host[:port]/path:tag`,
   * `host[:port]/path`, a beginning of it (`host[:port]`), `*.domain`, or `""` for all the rest.
   * Names are whole (`docker.io/library/nginx`), and those of the source, not of a mirror.
   */
  readonly docker?: Readonly<Record<string, Requirement>>;
}

/**
 * Where a registry's images may come from as well. Mirrors are asked first, in order; a digest
 * vouches for what they answer, so that they need not be trusted. A policy counts by the name of the
 * source; `registriesD` says where the signatures are by that of the mirror. With `mirrors` in a
 * config the machine's own `registries.conf` is not read.
 */
export interface Mirror {
  /** `host[:port][/path]`, in place of the registry's own. */
  readonly location: string;
  /** Whether TLS is required and its certificates checked; `true` if absent. */
  readonly tlsVerify?: boolean;
  /**
   * Whether it may also say what a tag stands for, for networks that reach nothing else; `false` if
   * absent, as only the registry itself, a lock or a signature can vouch for that.
   */
  readonly tags?: boolean;
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
 * @param options Which name the signature has to be for.
 * @returns The requirement, as plain data.
 *
 * @example Usage
 * ```ts
 * import { defineConfig, docker, reject, signedBy } from "@stowage/stowage";
 *
 * defineConfig({
 *   policy: { default: reject(), docker: { "registry.acme.io": signedBy("keys/acme.gpg") } },
 *   registriesD: "registries.d", // where the signatures are
 *   sources: { agent: docker("registry.acme.io/edge/agent:1.4") },
 * });
 * ```
 */
export function signedBy(
  keyPath: string,
  options: Pick<Extract<Requirement, { keyPath: string }>, "signedIdentity"> = {},
): Requirement {
  return { type: "signedBy", keyPath, ...options };
}

/**
 * An image passes if it is signed with a sigstore key. skopeo reads such signatures where a file of
 * `registriesD` says `use-sigstore-attachments: true`; Debian 12's is built without them, and takes
 * every image for unsigned.
 *
 * @param keyPath File with the public key, absolute or relative to the config.
 * @param options Which name the signature has to be for; cosign signs repositories, without tags.
 * @returns The requirement, as plain data.
 */
export function sigstoreSigned(
  keyPath: string,
  options: Pick<Extract<Requirement, { keyPath: string }>, "signedIdentity"> = {},
): Requirement {
  return { type: "sigstoreSigned", keyPath, ...options };
}
