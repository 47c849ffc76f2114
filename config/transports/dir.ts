import * as v from "valibot";
import { described, Path } from "../schema_parts.ts";
import type { SourceOptions } from "../sources.ts";

/** An image in a folder of the `dir` transport. */
export interface DirImage {
  /** The transport. */
  readonly type: "dir";
  /** The folder, absolute or relative to the config. */
  readonly path: string;
}

/** The schema's part of {@linkcode DirImage}. */
export const dirEntries = {
  type: described(v.literal("dir"), "The transport"),
  path: described(Path, "The folder, absolute or relative to the config"),
};

/**
 * An image in a folder of the `dir` transport.
 *
 * @param path The folder, absolute or relative to the config.
 * @param options What every source takes.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromDir(path: string, options: SourceOptions = {}): DirImage & SourceOptions {
  return { type: "dir", path, ...options };
}
