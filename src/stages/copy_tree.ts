import { StageError } from "../errors/mod.ts";
import type { StageRunner } from "./stage.ts";
import { makeFolders } from "./tree_file.ts";
import { resolveInTree } from "./tree_path.ts";

/** Copies trees into a tree, the later over the earlier; the folder they go to stays as it is. */
export const copyTree: StageRunner<"copy-tree"> = async ({ to = "/" }, context) => {
  const target = await resolveInTree(context.tree, to);
  const changed = await makeFolders(target);
  for (const input of context.inputs) {
    if (input.kind !== "tree") {
      throw new StageError(context.name, `input "${input.name}" gives images, not a tree`, {
        hint: "copy-tree takes inputs made by tree(); images go into a tree by install",
      });
    }
    // The input is a copy already. A link that is there is replaced, else cp would write to where
    // it leads on this machine.
    const copy = ["cp", "-a", "--link", "--remove-destination", `--target-directory=${target}`];
    const entries = ["-mindepth", "1", "-maxdepth", "1"];
    await context.run("find", [input.path, ...entries, "-exec", ...copy, "--", "{}", "+"]);
  }
  await context.run("touch", [`--date=@${context.epoch}`, "--", ...changed]);
};
