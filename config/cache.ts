import * as v from "valibot";
import type { Same } from "./same.ts";
import { closed, HOST, PATH, Path } from "./schema_parts.ts";
import { registryEntries, type RegistryOptions } from "./transports/docker.ts";

/**
 * A repository of any registry that keeps images for many machines. It is asked before an image's
 * own places, by digest or by id, and trusted no more than a stranger: all that comes from it is
 * verified. Only what a digest, an id or a lock pins is asked for there, and nothing whose signatures
 * the policy asks for.
 */
export interface Cache extends RegistryOptions {
  /** `host[:port]/path`. */
  readonly repository: string;
  /** Whether what it does not have is written to it; `read` if absent. */
  readonly mode?: "read" | "write";
  /**
   * File with a secret of at least 32 bytes. With it, trees of stages are signed when they are
   * written, and taken only if they are signed so.
   */
  readonly key?: string;
}

const REPOSITORY = new RegExp(`^${HOST}(?:${PATH})+$`);

/** The schema of {@linkcode Cache}. */
export const CacheSchema = closed({
  repository: v.pipe(
    v.string(),
    v.regex(REPOSITORY, '"host[:port]/path"'),
    v.description("The repository, host[:port]/path"),
  ),
  mode: v.exactOptional(
    v.pipe(
      v.picklist(["read", "write"]),
      v.description('Whether what it does not have is written to it; "read" if absent'),
    ),
  ),
  key: v.exactOptional(
    v.pipe(Path, v.description("File with a secret that trees of stages are signed with")),
  ),
  ...registryEntries,
});
true satisfies Same<v.InferOutput<typeof CacheSchema>, Cache>;
