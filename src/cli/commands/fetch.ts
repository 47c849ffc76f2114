import { format as formatBytes } from "@std/fmt/bytes";
import type { Command } from "../command.ts";
import { showImages } from "../reporter.ts";

/** `stowage fetch`. */
export const fetch: Command = {
  usage: "[SOURCE…]",
  summary: "fetches sources into the store",
  flags: [],
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const stowage = await load();
    const { images } = await stowage.fetch({ names: flags.words, onEvent, signal });
    if (!isJson && !isQuiet) {
      const fetched = images.filter(({ status }) => status === "fetched");
      const bytes = fetched.reduce((sum, { size }) => sum + size, 0);
      const count = images.length === 1 ? "1 image" : `${images.length} images`;
      if (images.length > 0) terminal.out(showImages(images));
      terminal.out(`${count} in the store, ${fetched.length} fetched (${formatBytes(bytes)})`);
    }
    return { ok: true, images };
  },
};
