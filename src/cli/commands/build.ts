import type { Command } from "../command.ts";
import { runImages } from "../run_images.ts";

/** `stowage build`. */
export const build: Command = {
  usage: "[STAGE…]",
  summary: "fetches sources, then runs the stages",
  flags: [],
  run: (context) => runImages(context, (stowage, options) => stowage.build(options)),
};
