import { StageError } from "../../errors/mod.ts";
import type { GivenInput, StageContext, StageImage } from "../stage.ts";

/** A tree that a stage reads. */
export type TreeContent = Extract<GivenInput, { kind: "tree" }>;

/**
 * The images that a stage reads, of which `compile()` has seen that it reads no trees.
 *
 * @param context Name of the stage and what it reads.
 * @returns The images, in the order of the inputs.
 * @throws {StageError} If there is none, or if an input gives something else.
 */
export function imagesOf(
  { name, inputs }: Pick<StageContext, "name" | "inputs">,
): readonly StageImage[] {
  const images = inputs.flatMap((input) => {
    if (input.kind === "images") return input.images;
    throw new StageError(name, `input "${input.name}" gives a tree, not images`);
  });
  if (images.length === 0) throw new StageError(name, "its inputs have no images");
  return images;
}

/**
 * The trees that a stage reads, of which `compile()` has seen that it reads no images.
 *
 * @param context Name of the stage and what it reads.
 * @returns The trees, in the order of the inputs.
 * @throws {StageError} If an input gives something else.
 */
export function treesOf(
  { name, inputs }: Pick<StageContext, "name" | "inputs">,
): readonly TreeContent[] {
  return inputs.map((input) => {
    if (input.kind === "tree") return input;
    throw new StageError(name, `input "${input.name}" gives images, not a tree`);
  });
}
