import { UsageError } from "../errors/mod.ts";
import { nearest } from "../graph/nearest.ts";
import type { ImportKind } from "./import_kind.ts";

/** The kinds of files that images can be imported from; each is loaded when it is asked for. */
export const IMPORT_KINDS: Readonly<Record<string, () => Promise<ImportKind>>> = {
  osbuild: async () => (await import("./osbuild/osbuild.ts")).osbuild,
  list: async () => (await import("./list.ts")).list,
  compose: async () => (await import("./compose.ts")).compose,
  kubernetes: async () => (await import("./kubernetes.ts")).kubernetes,
  quadlet: async () => (await import("./quadlet.ts")).quadlet,
  isar: async () => (await import("./isar.ts")).isar,
};

/**
 * Finds a kind of files.
 *
 * @param name Its name.
 * @returns The kind.
 * @throws {UsageError} If there is none of that name.
 */
export async function importKind(name: string): Promise<ImportKind> {
  const load = Object.hasOwn(IMPORT_KINDS, name) ? IMPORT_KINDS[name] : undefined;
  if (load) return await load();
  const kinds = Object.keys(IMPORT_KINDS);
  const near = nearest(name, kinds);
  throw new UsageError(`Cannot import "${name}": expected one of ${kinds.join(", ")}`, {
    ...(near !== undefined && { hint: `did you mean "${near}"?` }),
  });
}
