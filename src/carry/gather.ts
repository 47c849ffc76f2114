import { InterruptedError, StowageError } from "../errors/mod.ts";
import type { ArtifactResult, ImageResult, ItemName } from "../events.ts";
import type { ArtifactNode, SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { FairLimit } from "../lib/async/fair_limit.ts";
import { type ImageItem, serverOf } from "../sources/image_item.ts";
import { type OutsideImage, SkopeoSource } from "../sources/skopeo.ts";
import { besides, type Outcome } from "../sources/source.ts";
import { type Cargo, readArtifact, readCargo, readReferrers } from "./cargo.ts";

/** A source that is carried. */
export interface Ware extends ItemName {
  /** The first of its nodes. */
  readonly first: SourceNode | ArtifactNode;
  /** Its images, one for each platform that the config names; none of an artifact. */
  readonly items: readonly ImageItem[];
}

/** What was found of sources. */
export interface Gathered {
  /** What each stands for, by name. */
  readonly cargoes: ReadonlyMap<string, Cargo>;
  /** Why others could not be had, by key. */
  readonly failures: Record<string, StowageError>;
}

/**
 * Finds what sources stand for. A name of several platforms is their index: it is kept, whether the
 * config says so or not.
 *
 * @param nodes The nodes of the sources.
 * @returns The sources, in the order of their nodes.
 */
export function waresOf(nodes: readonly (SourceNode | ArtifactNode)[]): Ware[] {
  return [...Map.groupBy(nodes, ({ source }) => source)].map(([name, group]) => {
    const key = `source/${name}`;
    const [other] = group;
    const [first, ...rest] = group.filter((node) => node.kind === "source");
    if (other && !first) return { key, name, first: other, items: [] };
    if (!first) throw new TypeError(`Cannot carry "${name}": it has no image`);
    const items = [first, ...rest];
    return { key, name, first, items: rest.length > 0 ? items.map(withIndex) : items };
  });
}

function withIndex(node: SourceNode): ImageItem {
  const { lockedIndex, digestIsLocked } = node;
  const index = digestIsLocked && lockedIndex !== undefined ? { digest: lockedIndex } : {};
  return { ...node, ...index, keepsIndex: true };
}

/** Who takes what is gathered. */
export interface Takers {
  /** Takes what a source stands for as soon as all of that is here. */
  readonly onCargo?: (name: string, cargo: Cargo) => void;
  /**
   * Takes a source that is not here, and reads it where it is. What that returns `false` for is
   * fetched.
   */
  readonly pass?: (ware: Ware, image: OutsideImage) => Promise<boolean>;
}

/**
 * Reads sources from the store; what it does not have is fetched first.
 *
 * @param wares The sources.
 * @param run The run.
 * @param takers Who takes them.
 * @returns What they stand for, but for those that somebody has taken where they are.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function gather(
  wares: readonly Ware[],
  run: Run,
  { onCargo = () => {}, pass }: Takers = {},
): Promise<Gathered> {
  const source = new SkopeoSource(run);
  const failures: Record<string, StowageError> = {};
  const cargoes = new Map<string, Cargo>();
  const add = (name: string, cargo: Cargo) => {
    cargoes.set(name, cargo);
    onCargo(name, cargo);
  };
  const results = new Map<string, ImageResult>();
  const byName = new Map(wares.map((ware) => [ware.name, ware]));
  const reading: Promise<void>[] = [];
  const take = (outcome: Outcome<ImageItem, ImageResult>) => {
    const { key, source } = outcome.item;
    const ware = byName.get(source);
    if ("error" in outcome) failures[key] = outcome.error;
    else results.set(key, outcome.value);
    const found = ware?.items.flatMap(({ key }) => results.get(key) ?? []) ?? [];
    if (!ware || found.length < ware.items.length) return;
    const read = attempt(ware, failures, run, async () => {
      add(ware.name, await readImages(ware, found, run));
    });
    read.catch(() => {}); // it is told below
    reading.push(read);
  };
  const download = (some: readonly Ware[]) =>
    source.download(some.flatMap(({ items }) => items), take);
  const passOrDownload = async (ware: Ware, passOn: NonNullable<Takers["pass"]>) => {
    const [item] = ware.items;
    const image = canPass(ware) && item && await source.findOutside(item);
    if (image && await passOn(ware, image)) source.leaveOut(item);
    else await download([ware]);
  };
  const limit = new FairLimit(besides(run.jobs));
  const turns = pass
    ? wares.map((ware) => limit.run(kindOf(ware), () => passOrDownload(ware, pass)))
    : [download(wares)];
  await Promise.allSettled(turns);
  await Promise.allSettled(reading);
  await Promise.all([...turns, ...reading]);
  const artifacts = await fetchArtifacts(wares, failures, run);
  for (const ware of wares) {
    const artifact = artifacts.get(ware.first.key);
    if (!artifact) continue;
    await attempt(ware, failures, run, async () => {
      add(ware.name, await readArtifact(ware.name, artifact));
    });
  }
  return { cargoes, failures };
}

/** An index comes with all that it lists, and referrers are found by what the store has. */
function canPass({ items: [item, ...others] }: Ware): boolean {
  return item !== undefined && others.length === 0 && !item.keepsIndex && !item.referrers;
}

/** Who has to serve it. */
function kindOf({ items: [item] }: Ware): string {
  return item ? serverOf(item) : "";
}

async function readImages(
  { name, first }: Ware,
  found: readonly ImageResult[],
  { store }: Run,
): Promise<Cargo> {
  const cargo = await readCargo(name, found);
  const wanted = first.kind === "source" ? first.referrers : undefined;
  const referrers = wanted && await readReferrers(cargo, wanted, store.referrers);
  return { ...cargo, ...(referrers && { referrers }) };
}

async function fetchArtifacts(
  wares: readonly Ware[],
  failures: Record<string, StowageError>,
  run: Run,
): Promise<Map<string, ArtifactResult>> {
  const nodes = wares.flatMap(({ first }) => first.kind === "artifact" ? [first] : []);
  if (nodes.length === 0) return new Map();
  const { ArtifactDownloads, valuesOf } = await import("../sources/artifacts.ts");
  const found = valuesOf(await new ArtifactDownloads(run).download(nodes), failures);
  return new Map(found.map((each) => [each.key, each]));
}

/**
 * Does something for a source; if that fails, the others go on.
 *
 * @param item The source.
 * @param failures Takes why it failed, by key.
 * @param run The run.
 * @param action Does it.
 */
export async function attempt(
  { key, name }: ItemName,
  failures: Record<string, StowageError>,
  { signal, emit }: Pick<Run, "signal" | "emit">,
  action: () => Promise<void>,
): Promise<void> {
  try {
    if (signal.aborted) throw new InterruptedError(signal.reason);
    await action();
  } catch (error) {
    if (signal.aborted || !(error instanceof StowageError)) throw error;
    failures[key] = error;
    emit({ type: "failed", key, name, error: error.toJSON() });
  }
}
