import type { StageRunner } from "../stage.ts";
import { copyOver } from "./copy_over.ts";
import { treesOf } from "./inputs_of.ts";

/** Copies trees into a tree, the later over the earlier. */
export const copyTree: StageRunner<"copy-tree"> = async ({ to = "/" }, context) => {
  await copyOver(treesOf(context), to, context);
};
