import { resolve } from "@std/path";
import type { Cache } from "../../config/mod.ts";
import { UsageError } from "../errors/mod.ts";
import type { Flag, ParsedFlags } from "./flags.ts";
import { readTlsVerify, TLS_VERIFY } from "./tls_verify.ts";

/** The flags of commands that use caches. */
export const CACHE_FLAGS: readonly Flag[] = [
  {
    name: "cache",
    value: "REPO[,read|write]",
    isRepeatable: true,
    help: "a repository to take images from; with write, also to put them there",
  },
  {
    name: "cache-key",
    value: "FILE",
    help: "a secret that trees of stages are signed with in the caches named here",
  },
  { ...TLS_VERIFY, help: "whether TLS is required of the caches named here (true)" },
];

/**
 * Reads which caches a command line names.
 *
 * @param flags The command line.
 * @returns The caches.
 * @throws {UsageError} If one cannot be read.
 */
export function readCaches(flags: ParsedFlags): Cache[] {
  const texts = flags.list("cache");
  const [key, tlsVerify] = [flags.text("cache-key"), readTlsVerify(flags)];
  for (const name of ["tls-verify", "cache-key"]) {
    if (texts.length > 0 || flags.text(name) === undefined) continue;
    throw new UsageError(`Cannot use --${name}: no --cache is named`, {
      hint: "of what the config names, the config says it too",
    });
  }
  return texts.map((text): Cache => {
    const [repository = "", mode = "read", ...more] = text.split(",");
    if (more.length > 0 || (mode !== "read" && mode !== "write")) {
      throw new UsageError(`Cannot use --cache "${text}": expected REPO, REPO,read or REPO,write`);
    }
    return {
      ...{ repository, mode },
      ...(key !== undefined && { key: resolve(key) }),
      ...(tlsVerify !== undefined && { tlsVerify }),
    };
  });
}
