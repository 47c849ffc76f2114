import { resolve } from "@std/path";
import { withoutLogin } from "../../config/without_login.ts";
import { UsageError } from "../errors/mod.ts";
import type { Workers } from "../sdk.ts";
import type { Flag, ParsedFlags } from "./flags.ts";

/** The secret that workers share with those who use them. */
export const QUEUE_KEY: Flag = {
  name: "queue-key",
  value: "FILE",
  help: "a secret that jobs and replies are signed with; exec stages need it",
};

/** The flags of commands that workers can do some of. */
export const ON_FLAGS: readonly Flag[] = [
  {
    name: "on",
    value: "QUEUE",
    help: "let workers do it, by their queue: redis://host:6379 or postgres://host/database",
  },
  QUEUE_KEY,
  {
    name: "cache-only",
    help: "leave the results of workers in the cache, and take nothing from it",
  },
];

/**
 * Reads which workers a command line means.
 *
 * @param flags The command line.
 * @returns The workers, to be passed on; empty if it means none.
 * @throws {UsageError} If it cannot be read.
 */
export function readOn(flags: ParsedFlags): { readonly on?: Workers } {
  const [queue, cacheOnly] = [flags.text("on"), flags.has("cache-only")];
  if (queue !== undefined) {
    return { on: { queue: readQueue("on", queue), cacheOnly, ...readQueueKey(flags) } };
  }
  const lone = cacheOnly ? "cache-only" : flags.text("queue-key") && "queue-key";
  if (lone === undefined) return {};
  throw new UsageError(`Cannot use --${lone}: there are no workers without --on QUEUE`);
}

/**
 * Reads where the secret is that workers share.
 *
 * @param flags The command line.
 * @returns Its file, to be passed on; empty if there is none.
 */
export function readQueueKey(flags: ParsedFlags): { readonly queueKey?: string } {
  const file = flags.text("queue-key");
  return file === undefined ? {} : { queueKey: resolve(file) };
}

/**
 * Checks the URL of a queue: other users of a machine see the command lines on it.
 *
 * @param flag The flag that names it.
 * @param url The URL.
 * @returns The URL.
 * @throws {UsageError} If it has a password.
 */
export function readQueue(flag: string, url: string): string {
  if (!/^[a-z]+:\/\/[^/]*:[^/@]*@/i.test(url)) return url;
  throw new UsageError(`Cannot use --${flag} "${withoutLogin(url)}": it has a password`, {
    hint: "put the password into STOWAGE_QUEUE_PASSWORD, and leave only the user in the URL",
  });
}
