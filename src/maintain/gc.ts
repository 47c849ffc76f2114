import { join } from "@std/path";
import type { OpenRun, Run } from "../run.ts";
import type { Config } from "../../config/mod.ts";
import { UsageError } from "../errors/mod.ts";
import type { ArtifactResult, Emit, GarbageEvent, ImageResult, Listener } from "../events.ts";
import { compile } from "../graph/compile.ts";
import { requireTags } from "../graph/expand_tags.ts";
import type { Graph } from "../graph/node.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { checkOptions, type StowageOptions } from "../options.ts";
import { sizeOf } from "../lib/fs/files.ts";
import { artifactResult } from "../store/artifacts.ts";
import type { Needed } from "../store/gc_candidates.ts";
import { findGarbage, type Garbage, removeGarbage } from "../store/gc.ts";
import { artifactOf } from "./list_artifacts.ts";
import { ImageNeeds } from "./needed_images.ts";
import { type NeededByStages, neededByStages } from "./needed_stages.ts";

/** What `gc` takes. */
export interface GcOptions {
  /** Whether it only tells what would go. */
  readonly dryRun?: boolean;
  /** Removes only what was used longer ago than that, in ms; all that nothing needs if absent. */
  readonly olderThan?: number;
  /** Removes the oldest use first, until the store takes that many bytes; all if absent. */
  readonly maxSize?: number;
  /** Other configs whose things stay, each with its root and its lock. */
  readonly keep?: readonly (Pick<StowageOptions, "root" | "lock"> & { readonly config: Config })[];
  /** Locks of other configs, whose images stay. */
  readonly keepLocks?: readonly Lock[];
  /** Whether the store may be emptied where no config or lock names anything. */
  readonly all?: boolean;
  /** How long to wait for others who work with the store, in ms; 10 000 if absent. */
  readonly wait?: number;
  /** Takes events while the run goes on. */
  readonly onEvent?: Listener;
  /** Ends the run. */
  readonly signal?: AbortSignal;
}

/** A config whose things stay. */
interface KeptConfig {
  readonly graph: Graph;
  /** Folder that its relative paths start from. */
  readonly root: string;
  readonly lock?: Lock | undefined;
}

/** What garbage collection has done. */
export interface GcResult {
  /** What went, or would go, in order. */
  readonly garbage: readonly Omit<GarbageEvent, "type">[];
  /** What that takes on disk, in bytes, hard links once. */
  readonly bytes: number;
  /** What was freed, in bytes; 0 where nothing was to be removed. */
  readonly freed: number;
  /** What the store took on disk before, in bytes, hard links once. */
  readonly size: number;
  /** How far above `maxSize` is what has to stay, in bytes; absent where it is not. */
  readonly over?: number;
}

/**
 * Removes from the store what no config or lock needs.
 *
 * @param config The config that is run, and the platform of sources that name none.
 * @param options What goes, and what else stays.
 * @param open Opens the run.
 * @returns What it has done.
 * @throws {ConfigError} If another config is wrong.
 * @throws {LockError} If a config has a rule for tags, and its lock does not say which.
 * @throws {UsageError} If nothing is named that could need anything, unless all may go.
 * @throws {StoreBusyError} If others work with the store for too long.
 * @throws {StoreError} If the store cannot be read or written.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function collectGarbage(
  config: KeptConfig & { readonly platform: string },
  options: GcOptions,
  open: OpenRun,
): Promise<GcResult> {
  const { keep = [], keepLocks = [], all = false, dryRun = false, wait = 10_000 } = options;
  const others = keep.map(({ config: other, root, lock }): KeptConfig => ({
    graph: compile(other, { platform: config.platform, ...(lock && { lock }) }),
    root: checkOptions({ ...(root !== undefined && { root }) }).root,
    lock,
  }));
  const configs: [KeptConfig, ...KeptConfig[]] = [config, ...others];
  for (const { graph } of configs) requireTags([...graph.nodes.values()]);
  const locks = [...configs.map(({ lock }) => lock), ...keepLocks].flatMap((lock) => lock ?? []);
  if (!all) await refuseToEmpty(configs, locks);
  await using run = await open({ hold: dryRun ? "read" : "alone", wait });
  const { store, emit, signal } = run;
  const needed = await findNeeded(configs, locks, run, all);
  const unseen = new Unseen("is not counted");
  const { garbage, size } = await findGarbage(store, needed, options, unseen.add);
  unseen.tell(emit);
  const told = garbage.map(tell);
  for (const each of told) emit({ type: "garbage", ...each });
  const bytes = told.reduce((sum, each) => sum + each.bytes, 0);
  const over = size - bytes - (options.maxSize ?? Infinity);
  const sizes = { bytes, size, ...(over > 0 && { over }) };
  emit({ type: "garbage-total", things: told.length, ...sizes });
  if (dryRun) return { garbage: told, freed: 0, ...sizes };
  const onRemoved = ({ kind, name, bytes }: Garbage) =>
    emit({ type: "removed", kind, name, bytes });
  const left = new Unseen("cannot be removed, and is left to the next run");
  const freed = await removeGarbage(store, garbage, { onRemoved, onLeft: left.add, signal });
  left.tell(emit);
  return { garbage: told, freed, ...sizes };
}

/** What is passed over, which must end nothing: it is told once. */
class Unseen {
  readonly #found: { path: string; error: Error }[] = [];

  constructor(private readonly fate: string) {}

  readonly add = (path: string, error: Error): void => void this.#found.push({ path, error });

  tell(emit: Emit): void {
    const [first, ...others] = this.#found;
    if (!first) return;
    const { path, error } = first;
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    const [why = ""] = error.message.split(/ \(os error|: lstat '/);
    const more = others.length > 0 ? ` (and ${others.length} more)` : "";
    const message = `"${shown}"${more} ${this.fate}: ${why}`;
    emit({ type: "notice", code: "PASSED_OVER", message });
  }
}

function tell({ kind, name, origin, used, bytes }: Garbage): Omit<GarbageEvent, "type"> {
  return { kind, name, ...(origin !== undefined && { origin }), used: used.toISOString(), bytes };
}

async function refuseToEmpty(
  configs: readonly [KeptConfig, ...KeptConfig[]],
  locks: readonly Lock[],
): Promise<void> {
  const hasNames = configs.some(({ graph }) => graph.nodes.size > 0) ||
    locks.some(({ sources, artifacts = {} }) =>
      Object.keys(sources).length + Object.keys(artifacts).length > 0
    );
  if (hasNames) return;
  const file = "images.lock.json"; // without its config it says nothing of trees
  const isThere = await sizeOf(join(configs[0].root, file)) !== undefined;
  throw new UsageError("Cannot collect garbage: no config or lock is there to say what is needed", {
    hint: isThere
      ? `--keep-lock ${file} keeps the images of the lock that is here; --all empties the store`
      : "name one with --config, --keep-config or --keep-lock; --all empties the store",
  });
}

async function findNeeded(
  configs: readonly KeptConfig[],
  locks: readonly Lock[],
  run: Run,
  isEmptied: boolean,
): Promise<Needed> {
  const stored = await ImageNeeds.read(run.store);
  const ids = new Set(locks.flatMap(idsOf));
  if (!isEmptied) { for (const id of stored.unknown) ids.add(id); }
  const artifacts = new Set(locks.flatMap(artifactsOf));
  const stages: NeededByStages[] = [];
  for (const { graph, root } of configs) {
    const images = new Map<string, ImageResult>();
    const here: ArtifactResult[] = [];
    const nodes = [...graph.nodes.values()];
    for (const node of nodes) {
      if (node.kind === "artifact") {
        const digest = await artifactOf(node, run.store.artifacts);
        if (digest !== undefined) artifacts.add(digest);
        const stored = digest === undefined ? undefined : await run.store.artifacts.find(digest);
        if (stored) here.push(artifactResult(node, stored));
      }
      if (node.kind !== "source") continue;
      const needed = await stored.neededBy(node, root);
      for (const id of needed.ids) ids.add(id);
      if (needed.image) images.set(node.key, needed.image);
    }
    stages.push(await neededByStages(nodes, images, here, { ...run, root }));
  }
  return {
    images: ids,
    artifacts,
    needsTree: (id, stage) =>
      stages.some(({ trees, unknown }) =>
        trees.has(id) || (stage !== undefined && unknown.has(stage))
      ),
    needsArchive: (id) =>
      stages.some(({ archives, hasUnknownArchives }) => hasUnknownArchives || archives.has(id)),
  };
}

function artifactsOf({ artifacts = {} }: Lock): string[] {
  return Object.values(artifacts).map(({ digest }) => digest);
}

function idsOf({ sources }: Lock): string[] {
  return Object.values(sources).flatMap(({ platforms }) =>
    Object.values(platforms).map(({ id }) => id)
  );
}
