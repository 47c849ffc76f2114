import { UsageError } from "../errors/mod.ts";
import type { Shard } from "../graph/shard.ts";
import type { Flag, ParsedFlags } from "./flags.ts";

/** The flag of commands whose work can be parted among machines. */
export const SHARD_FLAG: Flag = {
  name: "shard",
  value: "I/N",
  help: "only part I of N; what belongs together stays together",
};

/**
 * Reads which part a command line means.
 *
 * @param flags The command line.
 * @returns The part, to be passed on; empty if it means all.
 * @throws {UsageError} If it cannot be read.
 */
export function readShard(flags: ParsedFlags): { readonly shard?: Shard } {
  const text = flags.text("shard");
  if (text === undefined) return {};
  const [, index, of] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  if (of !== undefined) return { shard: { index: Number(index), of: Number(of) } };
  throw new UsageError(`Cannot use --shard "${text}": expected I/N, such as 3/8`);
}
