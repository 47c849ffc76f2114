import { type Config, formatPlatform } from "../../../config/mod.ts";
import { findStored, imagesOf, type Looked } from "../../build/plan.ts";
import { joinStages, type Kept, type Pipeline } from "../../build/pipeline.ts";
import { planStages } from "../../build/plan_stages.ts";
import { runNodes, type UnitOutcome } from "../../build/run_nodes.ts";
import { type StowageError, UsageError } from "../../errors/mod.ts";
import { type Emit, nameOf } from "../../events.ts";
import type { Ahead, AheadResult } from "../../build/ahead.ts";
import type { Lock } from "../../graph/lock_schema.ts";
import type { Graph, Node, SourceNode } from "../../graph/node.ts";
import { select } from "../../graph/select.ts";
import type { Run } from "../../run.ts";
import { SkopeoSource } from "../../sources/skopeo.ts";
import { stageKind } from "../../stages/mod.ts";
import { layersOf, sizeOfImage } from "../../store/manifest.ts";
import { idTag } from "../../sources/caches.ts";
import { digestTag } from "../fill_caches.ts";
import { readSecret } from "../secret.ts";
import { noteUse } from "../uses.ts";
import { FailedJob, Jobs } from "./jobs.ts";
import { type RunMessage, Seal } from "./messages.ts";
import { JobQueue } from "./queue.ts";
import { pinTo } from "./pin_to.ts";
import { prefixFor, routeOf } from "./routes.ts";
import { sendable, stays, tellStaying } from "./sendable.ts";

/** Workers that do a run's work. */
export interface Workers {
  /** Where they wait: `redis://…`, `rediss://…` or `postgres://…`. */
  readonly queue: string;
  /** File with the secret that they share; without it, they run no `exec` stages. */
  readonly queueKey?: string;
  /** Whether results stay in the cache, and do not come to this machine. */
  readonly cacheOnly?: boolean;
  /** How long to wait until jobs of which nothing was heard are asked for, in ms; 5000 if absent. */
  readonly poll?: number;
}

/** What is done on workers. */
export interface Request {
  /** The config, which was compiled. */
  readonly config: Config;
  /** Its graph. */
  readonly graph: Graph;
  /** Its lock. */
  readonly lock: Lock | undefined;
  /** Platform of what names none. */
  readonly platform: string;
  /** Which trees are wanted in any case. */
  readonly kept: Kept;
}

type Unit = SourceNode | Pipeline;

const POLL = 5_000;
/** So many jobs wait in the queue at most, which keeps them in memory. */
const WINDOW = 10_000;

/**
 * Makes a function that has workers do what they can, before a run does the rest.
 *
 * @param workers The workers.
 * @param request What the run is of.
 * @returns Does it.
 */
export function onWorkers(workers: Workers, request: Request): Ahead {
  return async (nodes, run) => {
    // Trees of this machine, which have dates of their own, are read here.
    const { signal, emit, retry, epoch = 0 } = run;
    const { config, graph, lock, platform, kept } = request;
    const { cacheOnly = false, poll = POLL } = workers;
    const [cache] = run.caches;
    if (!cache) {
      throw new UsageError("Cannot use workers without a cache, where they put what they make", {
        hint: "name the one that they write to: --cache REPO",
      });
    }
    if (run.offline) throw new UsageError("Cannot use workers offline");
    const seal = new Seal(await readSecret("queue key", workers.queueKey, run.root));
    const here = await stays(nodes, graph, run);
    const away = nodes.filter(({ key }) => !here.has(key));
    refuseUnsigned(away, seal);
    tellStaying(nodes, here, emit);
    await using queue = await JobQueue.open(workers.queue, prefixFor(cache.repository), emit);
    const work = await plan(away, kept, cacheOnly, run);
    const message: RunMessage = {
      ...{ kind: "run", run: crypto.randomUUID() },
      ...sendable(config, lock, away),
      ...{ platform, epoch, kept: kept === "all" ? "all" : [...kept] },
    };
    await using jobs = await Jobs.open(queue, seal, message, { retry, poll, emit, signal });
    const outcomes = await runAll(work, graph, jobs, run);
    return summarize(nodes, here, work, outcomes, { cacheOnly, emit });
  };
}

/** What workers do. */
interface Work {
  /** What has to be done, in the order in which it is sent. */
  readonly units: readonly Unit[];
  /** What was found out of the sources, by key; what workers find out is added. */
  readonly pins: Map<string, string>;
  /** Keys of images that have to be done before another one, as they share layers with it. */
  readonly after: ReadonlyMap<string, readonly string[]>;
  /** What has failed before anything was sent. */
  readonly failures: ReadonlyMap<string, StowageError>;
}

/** Asks what there is already, and what each source stands for. */
async function plan(
  nodes: readonly Node[],
  kept: Kept,
  cacheOnly: boolean,
  run: Run,
): Promise<Work> {
  const sources = nodes.filter((node) => node.kind === "source");
  // What fails here may still be had by a worker, and is told by it.
  const emit: Emit = (event) => event.type !== "failed" && run.emit(event);
  const skopeo = new SkopeoSource({ ...run, emit });
  const looked = await findStored(await skopeo.look(sources), run);
  const pins = new Map<string, string>();
  for (const outcome of looked) {
    const found = foundIn(outcome);
    if (found) pins.set(outcome.item.key, found.index?.digest ?? found.digest);
  }
  // Caches are asked for what is pinned only.
  const open = looked.filter((outcome) =>
    "value" in outcome && "prepared" in outcome.value && outcome.item.digest === undefined
  );
  const byKey = new Map(sources.map((node) => [node.key, node]));
  const pinned = open.flatMap(({ item: { key } }) => byKey.get(key) ?? [])
    .map((node) => pinTo(node, Object.fromEntries(pins)));
  const known = new Map<string, Looked>(looked.map((each) => [each.item.key, each]));
  for (const outcome of await skopeo.look(pinned)) known.set(outcome.item.key, outcome);
  const failures = new Map<string, StowageError>();
  const own = new Map(run.caches.map((cache) => [cache.repository, cache]));
  const missing = sources.filter(({ key }) => {
    const outcome = known.get(key);
    if (!outcome) return true;
    if ("error" in outcome) {
      if (outcome.error.code !== "FETCH_FAILED") failures.set(key, outcome.error);
      return true;
    }
    if ("image" in outcome.value) return cacheOnly;
    const { place: { reference }, manifest, index } = outcome.value.prepared.found;
    const cache = reference && own.get(`${reference.domain}/${reference.path}`);
    if (cache && manifest) noteUse(cache, idTag(manifest.config.digest), run);
    if (cache && index) noteUse(cache, digestTag(index.digest), run);
    return !cache;
  });
  const planned = await planStages(nodes, imagesOf(looked), [], kept, run); // artifacts stay here
  const there = new Set(planned.flatMap(({ name, status }) => status === "run" ? [] : [name]));
  const inputs = new Map(nodes.map((node) => [node.key, node]));
  const pipelines = joinStages(nodes, kept)
    .filter(({ stages }) => stages.some(({ name }) => !there.has(name)))
    .map((pipeline) => ({
      ...pipeline,
      // Inputs are no jobs: who needs one needs what that needs.
      needs: pipeline.needs.flatMap((need) => {
        const node = inputs.get(need);
        return node?.kind === "input" ? node.needs : [need];
      }),
    }));
  const sized = missing.map((node) => ({ node, ...contentOf(known.get(node.key)) }))
    .sort((a, b) => a.size - b.size);
  return {
    units: [...sized.map(({ node }) => node), ...pipelines],
    pins,
    after: findCarriers(sized),
    failures,
  };
}

/** What a source stands for: its index where it keeps one. */
function foundIn(outcome: Looked) {
  if ("error" in outcome) return undefined;
  const { value, item: { keepsIndex } } = outcome;
  if ("prepared" in value) return value.prepared.found;
  const { digest, index } = value.image;
  return { digest, index: keepsIndex ? index : undefined };
}

interface Content {
  readonly size: number;
  readonly layers: readonly string[];
}

function contentOf(looked: Looked | undefined): Content {
  const manifest = looked && "value" in looked && "prepared" in looked.value
    ? looked.value.prepared.found.manifest
    : undefined;
  if (!manifest) return { size: 0, layers: [] };
  return {
    size: sizeOfImage(manifest),
    layers: layersOf(manifest).map(({ digest }) => digest),
  };
}

/**
 * Of images that share a layer, the smallest one comes first and brings it into the cache, so that no
 * other has to be waited for long, and no registry sends a layer twice.
 */
function findCarriers(
  sized: readonly (Content & { readonly node: SourceNode })[],
): Map<string, readonly string[]> {
  const carriers = new Map<string, string>();
  const after = new Map<string, readonly string[]>();
  for (const { node: { key }, layers } of sized) {
    const others = new Set<string>();
    for (const layer of layers) {
      const carrier = carriers.get(layer);
      if (carrier === undefined) carriers.set(layer, key);
      else if (carrier !== key) others.add(carrier);
    }
    after.set(key, [...others]);
  }
  return after;
}

async function runAll(
  { units, pins, after, failures }: Work,
  graph: Graph,
  jobs: Jobs,
  run: Run,
): Promise<Outcomes> {
  const platform = formatPlatform(run.platform);
  const ended = new Map(units.map(({ key }) => [key, Promise.withResolvers<void>()] as const));
  const culprits = new Map<string, string>();
  const work = async (unit: Unit) => {
    const error = failures.get(unit.key);
    if (error) throw error;
    await Promise.all((after.get(unit.key) ?? []).map((key) => ended.get(key)?.promise));
    run.signal.throwIfAborted();
    const last = "stages" in unit ? unit.stages.at(-1) ?? unit.stages[0] : unit;
    const known = pinsOf(last, graph, pins);
    const { digest } = await jobs.do(routeOf(unit, platform), nameOf(last), known);
    if (digest !== undefined && !pins.has(unit.key)) pins.set(unit.key, digest);
  };
  const outcomes = await runNodes(
    units,
    async (unit) => {
      try {
        await work(unit);
      } catch (error) {
        if (!(error instanceof FailedJob)) throw error;
        culprits.set(unit.key, error.key);
        throw error.error;
      } finally {
        ended.get(unit.key)?.resolve();
      }
    },
    {
      ...{ jobs: WINDOW, signal: run.signal, kindOf: () => "" },
      onOutcome(unit, outcome) {
        if (outcome.status !== "failed") return;
        const key = culprits.get(unit.key) ?? unit.key;
        const name = key.slice(key.indexOf("/") + 1);
        run.emit({ type: "failed", key, name, error: outcome.error.toJSON() });
      },
    },
  );
  return { of: outcomes, culprits };
}

interface Outcomes {
  /** By key of what was sent. */
  readonly of: ReadonlyMap<string, UnitOutcome<void>>;
  /** Key of the item that has failed, by key of what was sent. */
  readonly culprits: ReadonlyMap<string, string>;
}

/** The digests of the images that a node needs. */
function pinsOf(
  { kind, key, name }: Node,
  graph: Graph,
  pins: ReadonlyMap<string, string>,
): Record<string, string> {
  const keys = kind === "stage" ? select(graph, ["stage"], [name]).map(({ key }) => key) : [key];
  return Object.fromEntries(
    keys.flatMap((key) => {
      const pin = pins.get(key);
      return pin === undefined ? [] : [[key, pin]];
    }),
  );
}

/** What is left to be done here, and what cannot be done at all. */
function summarize(
  nodes: readonly Node[],
  here: ReadonlySet<string>,
  { units, pins }: Work,
  { of, culprits }: Outcomes,
  { cacheOnly, emit }: { readonly cacheOnly: boolean; readonly emit: Emit },
): AheadResult {
  const failures: Record<string, StowageError> = {};
  /** Keys of what cannot be done, with that of what has failed. */
  const lost = new Map<string, string>();
  for (const unit of units) {
    const outcome = of.get(unit.key);
    if (!outcome || outcome.status === "done") continue;
    const culprit = outcome.status === "failed"
      ? culprits.get(unit.key) ?? unit.key
      : lost.get(outcome.because) ?? outcome.because;
    if (outcome.status === "failed") failures[culprit] = outcome.error;
    for (const { key } of "stages" in unit ? unit.stages : [unit]) lost.set(key, culprit);
  }
  const skipped: string[] = [];
  for (const { key, name, kind, needs } of nodes) {
    const because = lost.get(key) ?? needs.map((need) => lost.get(need)).find(Boolean);
    if (because === undefined) continue;
    lost.set(key, because);
    if (kind === "input" || Object.hasOwn(failures, key)) continue;
    skipped.push(key);
    emit({ type: "skipped", key, name, because });
  }
  const left = nodes.filter(({ key }) => !lost.has(key));
  const wanted = cacheOnly ? withNeeds(left, here) : new Set(left.map(({ key }) => key));
  return {
    nodes: left.filter(({ key }) => wanted.has(key))
      .map((node) => node.kind === "source" ? pinTo(node, Object.fromEntries(pins)) : node),
    failures,
    skipped,
    cached: left.filter(({ key, kind }) => kind !== "input" && !wanted.has(key))
      .map(({ key }) => key),
  };
}

/** The keys of nodes, and of all that they need. */
function withNeeds(nodes: readonly Node[], keys: ReadonlySet<string>): Set<string> {
  const wanted = new Set(keys);
  for (const { key, needs } of nodes.toReversed()) {
    if (wanted.has(key)) { for (const need of needs) wanted.add(need); }
  }
  return wanted;
}

/** Who can write to a queue without a key could run anything on the workers. */
function refuseUnsigned(nodes: readonly Node[], seal: Seal): void {
  if (seal.isKeyed) return;
  const open = nodes.find((node) =>
    node.kind === "stage" && stageKind(node.stage).ability === "exec"
  );
  if (!open) return;
  throw new UsageError(`Cannot have workers run the exec stage "${open.name}" without a key`, {
    hint: "share a secret with them: --queue-key FILE",
  });
}
