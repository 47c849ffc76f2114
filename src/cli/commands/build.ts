import type { BuildResult } from "../../sdk.ts";
import { columns } from "../columns.ts";
import { CACHE_FLAGS, readCaches } from "../cache_flags.ts";
import type { Command } from "../command.ts";
import { readShard, SHARD_FLAG } from "../shard_flag.ts";
import { plain } from "../../lib/words.ts";
import { ON_FLAGS, readOn } from "../on_flags.ts";
import { showCached, showImages } from "../reporter.ts";
import { bold, dim, green } from "../style.ts";
// Loaded with the command, in one go.
import "../../stowage.ts";
import "../../build_engine.ts";

/** `stowage build`. */
export const build: Command = {
  usage: "[NAME…]",
  flags: [
    ...CACHE_FLAGS,
    SHARD_FLAG,
    ...ON_FLAGS,
    { name: "out", value: "DIR", alias: "o", help: "put the tree of each result at DIR/<stage>" },
    { name: "dry-run", help: "only show what would be done: stowage plan" },
    { name: "keep-stages", help: "keep the tree of every stage, not only of the last one" },
  ],
  examples: [
    { line: "build --out dist", does: "puts each result into dist/<stage>" },
    { line: "build os", does: 'only the stage "os" and what it needs' },
    {
      line: "build --on redis://queue.acme.io --cache registry.acme.io/cache",
      does: "has workers do it, and takes the result from the cache",
    },
    { line: "build --dry-run", does: "what it would do and download; the same as `stowage plan`" },
  ],
  completes: "names",
  async run(context) {
    const { load, flags, onEvent, signal, terminal, isJson, isQuiet } = context;
    if (flags.has("dry-run")) return await (await import("./plan.ts")).plan.run(context);
    const stowage = await load({ cache: readCaches(flags) });
    const out = flags.text("out");
    const result = await stowage.build({
      names: flags.words,
      ...readShard(flags),
      ...readOn(flags),
      onEvent,
      signal,
      keepStages: flags.has("keep-stages"),
      ...(out !== undefined && { out }),
    });
    if (!isJson && !isQuiet) terminal.out(show(result));
    return { ok: true, ...result };
  },
};

function show({ images, artifacts = [], stages, out, cached = [] }: BuildResult): string {
  // The stages of a pipeline share a tree: it is that of the last.
  const last = new Map(stages.map(({ name, tree }) => [tree, name]));
  const rows = stages.map(({ name, status, tree }) => [
    bold(name),
    status === "ran" ? green(status) : dim(status),
    plain(out[name] ?? (last.get(tree) === name ? tree : undefined) ?? ""),
  ]);
  return [
    ...(images.length + artifacts.length > 0 ? [showImages(images, artifacts)] : []),
    ...(rows.length > 0 ? [columns(rows)] : []),
    ...showCached(cached),
    ...(images.length + artifacts.length + rows.length + cached.length === 0
      ? ["Nothing to build: the config is empty"]
      : rows.length + cached.length === 0
      ? ["No stage to run: what was fetched is in the store"]
      : []),
  ].join("\n");
}
