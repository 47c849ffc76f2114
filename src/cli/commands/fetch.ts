import type { Command } from "../command.ts";
import { runImages } from "../run_images.ts";

/** `stowage fetch`. */
export const fetch: Command = {
  usage: "[SOURCE…]",
  summary: "fetches sources into the store",
  flags: [],
  run: (context) => runImages(context, (stowage, options) => stowage.fetch(options)),
};
