import { StageError } from "../errors.ts";
import type { StageRunner } from "./stage.ts";
import { ensureDirInTree } from "./tree_path.ts";

/** Copies trees into a tree, the later over the earlier. */
export const copyTree: StageRunner<"copy-tree"> = async ({ to = "/" }, context) => {
  const target = await ensureDirInTree(context.tree, to);
  for (const input of context.inputs) {
    if (input.kind !== "tree") {
      throw new StageError(context.name, `input "${input.name}" gives images, not a tree`, {
        hint: "copy-tree takes inputs made by tree(); images go into a tree by install",
      });
    }
    // A link that is there is replaced, else cp would write to where it leads on this machine.
    const flags = ["-a", "--remove-destination", "--reflink=auto"];
    await context.run("cp", [...flags, "--", `${input.path}/.`, target]);
  }
};
