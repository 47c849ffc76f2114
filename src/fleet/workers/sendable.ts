import type { Config } from "../../../config/mod.ts";
import { type Emit, nameOf } from "../../events.ts";
import type { Lock } from "../../graph/lock_schema.ts";
import type { Graph, Node, Settings } from "../../graph/node.ts";
import { inputKind } from "../../inputs/mod.ts";
import type { Run } from "../../run.ts";
import { subjectOf } from "../../sources/image_item.ts";
import { stageKind } from "../../stages/mod.ts";
import { transportOf } from "../../transports/mod.ts";
import type { RunMessage } from "./messages.ts";

/**
 * Finds what only this machine can do: what reads its files or changes its folders, what the policy
 * wants signatures of, as caches have none, and all that needs such things.
 *
 * @param nodes The nodes, each behind those that it needs.
 * @param graph The graph that they are of.
 * @param run The run.
 * @returns Their keys.
 */
export async function stays(
  nodes: readonly Node[],
  { settings }: Graph,
  run: Run,
): Promise<Set<string>> {
  const staying = new Set<string>();
  for (const node of nodes) {
    const isOwn = await isOfHere(node, settings, run);
    if (isOwn || node.needs.some((need) => staying.has(need))) staying.add(node.key);
  }
  return staying;
}

async function isOfHere(node: Node, { registriesD }: Settings, { trust }: Run): Promise<boolean> {
  switch (node.kind) {
    case "source": {
      const [own] = node.locations;
      return !transportOf(own).isRemote(own) ||
        !await trust.acceptsAny(node.name, subjectOf(node, own));
    }
    case "artifact": // which no cache has
    case "tags":
      return true;
    case "input":
      return inputKind(node.input).folder?.(node.input) !== undefined;
    case "stage": {
      const kind = stageKind(node.stage);
      return registriesD !== undefined || kind.into(node.stage) !== undefined ||
        kind.isElsewhere(node.stage);
    }
  }
}

/**
 * Tells what this machine does itself.
 *
 * @param nodes All nodes.
 * @param staying Keys of those that stay.
 * @param emit Takes the notice.
 */
export function tellStaying(
  nodes: readonly Node[],
  staying: ReadonlySet<string>,
  emit: Emit,
): void {
  const items = nodes.filter(({ key, kind }) => staying.has(key) && kind !== "input").map(nameOf);
  if (items.length === 0) return;
  const [first, ...more] = items.map(({ name }) => `"${name}"`);
  const names = more.length > 9
    ? `${first} and ${more.length} others`
    : [first, ...more].join(", ");
  emit({
    type: "notice",
    code: "RUNS_HERE",
    message: `no worker is asked for ${names}: only this machine has the files or the keys`,
    keys: items.map(({ key }) => key),
  });
}

/** What is of this machine alone: workers have their own. */
const OWN = new Set(["authFile", "certDir"]);

/**
 * Writes what workers have to know of a config: nothing of this machine's files, and no more than is
 * sent.
 *
 * @param config The config, which was compiled.
 * @param lock Its lock.
 * @param nodes The nodes that are sent.
 * @returns The config and the lock, as plain data.
 */
export function sendable(
  config: Config,
  lock: Lock | undefined,
  nodes: readonly Node[],
): Pick<RunMessage, "config" | "lock"> {
  const sources = new Map(
    nodes.flatMap((node) =>
      node.kind === "source" ? [[node.family ?? node.source, node] as const] : []
    ),
  );
  const locked = new Set(
    nodes.flatMap((node) => node.kind === "source" ? [node.source] : []),
  );
  const names = (kind: Node["kind"]) =>
    new Set(nodes.filter((node) => node.kind === kind).map(({ name }) => name));
  const { platform, mirrors, registries = {} } = config;
  return {
    config: {
      ...(platform !== undefined && { platform }),
      ...(mirrors && { mirrors }),
      registries: mapValues(registries, withoutOwn),
      sources: mapValues(pick(config.sources ?? {}, new Set(sources.keys())), (source, name) => {
        const [, ...fallbacks] = sources.get(name)?.locations ?? [];
        const given = "fallback" in source ? source.fallback ?? [] : [];
        const others = given.filter((_, at) => {
          const location = fallbacks[at];
          return location && transportOf(location).isRemote(location);
        });
        const fallback = others.length > 0 ? { fallback: others.map(withoutOwn) } : {};
        const { fallback: _, ...rest } = { fallback: given, ...source };
        return { ...withoutOwn(rest), ...fallback };
      }),
      inputs: pick(config.inputs ?? {}, names("input")),
      stages: pick(config.stages ?? {}, names("stage")),
    },
    ...(lock && {
      lock: {
        schema: lock.schema,
        sources: pick(lock.sources, locked),
        ...(lock.tags && { tags: pick(lock.tags, new Set(sources.keys())) }),
      },
    }),
  };
}

function withoutOwn(entry: object): object {
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !OWN.has(key)));
}

function pick<Value>(
  entries: Readonly<Record<string, Value>>,
  names: ReadonlySet<string>,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(entries).filter(([name]) => names.has(name)));
}

function mapValues<From, To>(
  entries: Readonly<Record<string, From>>,
  change: (value: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, value]) => [name, change(value, name)]),
  );
}
