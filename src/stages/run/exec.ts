import { StageError } from "../../errors/mod.ts";
import { inputVariable } from "../input_variable.ts";
import type { GivenInput, StageRunner } from "../stage.ts";

/**
 * Runs a command with the tree as its working folder. Where inputs are, it learns from
 * `STOWAGE_INPUT_<NAME>`: a folder for a tree or an image, several images one a line.
 */
export const exec: StageRunner<"exec"> = async ({ command, env, network = false }, context) => {
  const [program, ...args] = command;
  if (program === undefined) throw new StageError(context.name, "its command is empty");
  const inputs = context.inputs.map((input) => [inputVariable(input.name), pathsOf(input)]);
  await context.run(program, args, {
    cwd: context.tree,
    network,
    isLogged: true,
    env: {
      HOME: context.scratch,
      TMPDIR: context.scratch,
      LANG: "C.UTF-8",
      SOURCE_DATE_EPOCH: String(context.epoch),
      ...Object.fromEntries(inputs),
      ...env,
    },
  });
};

function pathsOf(input: GivenInput): string {
  return input.kind === "tree" ? input.path : input.images.map(({ path }) => path).join("\n");
}
