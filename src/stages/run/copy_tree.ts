import { treesOf } from "./inputs_of.ts";
import type { StageRunner } from "../stage.ts";
import { makeFolders } from "./tree_file.ts";
import { resolveInTree } from "./tree_path.ts";

/** Copies trees into a tree, the later over the earlier; the folder they go to stays as it is. */
export const copyTree: StageRunner<"copy-tree"> = async ({ to = "/" }, context) => {
  const target = await resolveInTree(context.tree, to);
  const changed = await makeFolders(target);
  for (const { path } of treesOf(context)) {
    // The input is a copy already. A link that is there is replaced, else cp would write to where
    // it leads on this machine.
    const copy = ["cp", "-a", "--link", "--remove-destination", `--target-directory=${target}`];
    const entries = ["-mindepth", "1", "-maxdepth", "1"];
    await context.run("find", [path, ...entries, "-exec", ...copy, "--", "{}", "+"]);
  }
  await context.run("touch", [`--date=@${context.epoch}`, "--", ...changed]);
};
