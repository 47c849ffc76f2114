import { resolve } from "@std/path";
import type { TreeInput } from "../../config/mod.ts";
import { StageError } from "../errors/mod.ts";
import type { InputKind } from "./input_kind.ts";

/** A folder on disk. */
export const tree: InputKind<TreeInput> = {
  gives: "trees",
  describe: ({ path }) => `tree ${path}`,
  needs: () => [],
  check: () => [],
  images: () => [],
  meaning: ({ path }) => ({ path }),
  async resolve(input, { name, root, store, signal }) {
    const path = resolve(root, input.path);
    const kind = "input";
    if (store === path || store.startsWith(`${path}/`)) {
      throw new StageError(name, `the store is in the folder "${path}"`, {
        kind,
        hint: "choose a folder beside it, or another store with --store or STOWAGE_STORE",
      });
    }
    const isFolder = await Deno.stat(path).then((info) => info.isDirectory, () => false);
    if (!isFolder) {
      const hint = `paths are relative to the config; see inputs.${name}.path`;
      throw new StageError(name, `there is no folder "${path}"`, { kind, hint });
    }
    const { treeDigest } = await import("../tools/tar.ts");
    return { id: await treeDigest(path, { signal }), input: { name, kind: "tree", path } };
  },
};
