import { format as formatBytes } from "@std/fmt/bytes";
import type { Listener } from "../../events.ts";
import { CACHE_FLAGS, readCaches } from "../cache_flags.ts";
import type { Command } from "../command.ts";
import { ON_FLAGS, readOn } from "../on_flags.ts";
import { readShard, SHARD_FLAG } from "../shard_flag.ts";
import { showCached, showImages, withIndexed } from "../reporter.ts";
import { count } from "../../lib/words.ts";
// Loaded with the command, in one go.
import "../../stowage.ts";
import "../../fetch_engine.ts";

/** `stowage fetch`. */
export const fetch: Command = {
  usage: "[SOURCE…]",
  flags: [...CACHE_FLAGS, SHARD_FLAG, ...ON_FLAGS],
  examples: [
    { line: "fetch", does: "all sources" },
    { line: "fetch web tools", does: "only these" },
    { line: "fetch --frozen", does: "refuses to run if something is not pinned" },
    {
      line: "fetch --cache registry.acme.io/cache,write",
      does: "from a cache, where that has it; what it does not have is put there",
    },
    {
      line: "fetch --on redis://queue.acme.io --cache registry.acme.io/cache --cache-only",
      does: "has workers fill the cache",
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
      ...readOn(flags),
      onEvent: listen,
      signal,
    });
    if (!isJson && !isQuiet) {
      const { images, artifacts = [], cached = [] } = result;
      if (images.length + artifacts.length > 0) terminal.out(showImages(images, artifacts));
      const { size } = new Set(withIndexed(images).map(({ id }) => id));
      const { length } = artifacts;
      const others = length === 0 ? "" : `, ${count(length, "artifact")}`;
      for (const line of showCached(cached)) terminal.out(line);
      terminal.out(
        `${count(size, "image")}${others} in the store, ${showTraffic(traffic)}`,
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
