import { format as formatBytes } from "@std/fmt/bytes";
import type { Listener } from "../../events.ts";
import { CACHE_FLAGS, readCaches } from "../cache_flags.ts";
import type { Command } from "../command.ts";
import { readShard, SHARD_FLAG } from "../shard_flag.ts";
import { showImages, withIndexed } from "../reporter.ts";

/** `stowage fetch`. */
export const fetch: Command = {
  usage: "[SOURCE…]",
  summary: "fetches sources into the store",
  flags: [...CACHE_FLAGS, SHARD_FLAG],
  examples: [
    { line: "fetch", does: "all sources" },
    { line: "fetch web tools", does: "only these" },
    { line: "fetch --frozen", does: "refuses to run if something is not pinned" },
    {
      line: "fetch --cache registry.acme.io/cache,write",
      does: "from a cache, where that has it; what it does not have is put there",
    },
    { line: "fetch --offline", does: "checks that the store has all of it" },
  ],
  completes: "sources",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const stowage = await load({ cache: readCaches(flags) });
    let traffic = { fetched: 0, shared: 0, resumed: 0 };
    const listen: Listener = (event) => {
      if (event.type === "traffic") {
        const { fetched, shared, resumed } = event;
        traffic = { fetched, shared, resumed };
      }
      onEvent(event);
    };
    const result = await stowage.fetch({
      names: flags.words,
      ...readShard(flags),
      onEvent: listen,
      signal,
    });
    if (!isJson && !isQuiet) {
      const { images } = result;
      if (images.length > 0) terminal.out(showImages(images));
      const { size } = new Set(withIndexed(images).map(({ id }) => id));
      terminal.out(
        `${size === 1 ? "1 image" : `${size} images`} in the store, ${showTraffic(traffic)}`,
      );
    }
    return { ok: true, ...result, traffic };
  },
};

function showTraffic(traffic: Readonly<Record<"fetched" | "shared" | "resumed", number>>): string {
  const { fetched, shared, resumed } = traffic;
  return [
    `${formatBytes(fetched)} fetched`,
    ...(shared > 0 ? [`${formatBytes(shared)} shared`] : []),
    ...(resumed > 0 ? [`${formatBytes(resumed)} there from before`] : []),
  ].join(", ");
}
