import { format as formatBytes } from "@std/fmt/bytes";
import type { Plan, PlannedArtifact, PlannedSource, PlannedStage } from "../../build/plan.ts";
import { RunError } from "../../errors/mod.ts";
import { columns } from "../columns.ts";
import { CACHE_FLAGS, readCaches } from "../cache_flags.ts";
import type { Command } from "../command.ts";
import { readShard, SHARD_FLAG } from "../shard_flag.ts";
import { count, plain } from "../../lib/words.ts";
import { onlyNotes, shortId } from "../reporter.ts";
import { bold, dim, green, red, yellow } from "../style.ts";

/** `stowage plan`. */
export const plan: Command = {
  usage: "[NAME…]",
  flags: [...CACHE_FLAGS, SHARD_FLAG],
  examples: [
    { line: "plan", does: "what is to be fetched, and which stages are to be run" },
    { line: "plan os", does: 'only for the stage "os" and what it needs' },
  ],
  completes: "names",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const stowage = await load({ cache: readCaches(flags) });
    const plan = await stowage.plan({
      names: flags.words,
      ...readShard(flags),
      signal,
      onEvent: isJson ? onEvent : onlyNotes(onEvent),
    });
    if (!isJson && !isQuiet) terminal.out(show(plan));
    const sources = [...plan.sources, ...plan.artifacts ?? []];
    const failures = sources.flatMap((source) =>
      source.status === "failed" ? [[source.name, source.error] as const] : []
    );
    if (failures.length > 0) {
      throw new RunError(Object.fromEntries(failures), sources.length, plan);
    }
    return { ok: true, ...plan };
  },
};

function show({ sources, artifacts = [], stages, bytes }: Plan): string {
  const rows = [
    ...sources.map(sourceRow),
    ...artifacts.map(artifactRow),
    ...stages.map(stageRow),
  ];
  const toRun = stages.filter(({ status }) => status === "run").length;
  const total = `${formatBytes(bytes)} to fetch, ${count(toRun, "stage")} to run`;
  return rows.length > 0 ? `${columns(rows)}\n${total}` : total;
}

function artifactRow(artifact: PlannedArtifact): string[] {
  if (artifact.status === "failed") return sourceRow(artifact);
  const { name, digest } = artifact;
  const [status, from, size] = artifact.status === "cached"
    ? [green(artifact.status), "", artifact.size]
    : [yellow(artifact.status), plain(artifact.from), artifact.bytes];
  return [status, bold(name), from, formatBytes(size), dim(shortId(digest))];
}

function stageRow({ name, type, status, from, bytes }: PlannedStage): string[] {
  return [
    status === "cached" ? green(status) : yellow(status),
    bold(name),
    from === undefined ? type : `${type}, in ${plain(from)}`,
    bytes === undefined ? "" : formatBytes(bytes),
  ];
}

function sourceRow(source: PlannedSource): string[] {
  switch (source.status) {
    case "cached":
      return [
        green("cached"),
        bold(source.name),
        "",
        formatBytes(source.size),
        dim(shortId(source.id)),
      ];
    case "fetch": {
      const size = source.size === undefined ? "size unknown" : formatBytes(source.size);
      const shared = source.shared ? `, ${source.shared} of ${source.layers} layers shared` : "";
      return [
        yellow("fetch"),
        bold(source.name),
        plain(source.from),
        size + shared,
        dim(shortId(source.id ?? "")),
      ];
    }
    case "failed":
      return [red("failed"), bold(source.name), source.error.code, "", ""];
  }
}
