import type { Requirement } from "./requirements.ts";

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
  /**
   * Whether TLS is required and its certificates checked; what `registries` says of it if absent,
   * or `true`.
   */
  readonly tlsVerify?: boolean;
  /**
   * Whether it may also say what a tag stands for, for networks that reach nothing else; `false` if
   * absent, as only the registry itself, a lock or a signature can vouch for that.
   */
  readonly tags?: boolean;
}
