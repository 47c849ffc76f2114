import pLimit from "p-limit";
import { formatReference, type Reference } from "../../config/mod.ts";
import { PushError, RunError, StowageError, throwIfFailed, UsageError } from "../errors/mod.ts";
import { type CarriedBytes, nameOf, type PushedImage } from "../events.ts";
import type { ArtifactNode, SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import type { ImageItem } from "../sources/image_item.ts";
import type { FoundArtifact } from "../sources/artifacts.ts";
import {
  type LookedReferrer,
  type OutsideImage,
  type PreparedImage,
  SkopeoSource,
} from "../sources/skopeo.ts";
import type { Found, Outcome } from "../sources/source.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import { blobsOf, readManifest } from "../store/manifest.ts";
import { Registries } from "../transports/docker/registries.ts";
import type { PassingBlob } from "../transports/docker/repository.ts";
import type { RegistryOptions } from "../transports/docker/site.ts";
import type { Cargo, CarriedBlob } from "./cargo.ts";
import { attempt, gather, type Ware, waresOf } from "./gather.ts";
import { Meter } from "./meter.ts";
import {
  formatMirrors,
  type Mirrored,
  type MirrorFile,
  type MirrorFormat,
} from "./mirror_config.ts";
import { type Kept, type Planned, prune, type Pruned } from "./prune.ts";
import { PushState } from "./push_state.ts";
import { ReferrerSender } from "./referrers.ts";
import { NotPassed, Sender, type SendTo } from "./sender.ts";
import { type Destination, type NameMap, nameTarget } from "./target.ts";

/** What is pushed, and where to. */
export interface PushRequest {
  /** The sources. */
  readonly nodes: readonly (SourceNode | ArtifactNode)[];
  /** Where to. */
  readonly destination: Destination;
  /** Other names there. */
  readonly maps: readonly NameMap[];
  /** How the registry is reached, as far as the push says it. */
  readonly how: RegistryOptions;
  /** The words of the configuration that leads to what was pushed; none is written if absent. */
  readonly mirrors?: MirrorFormat;
  /** The file that says what pushes have written there; it is kept up to date. */
  readonly state?: string;
  /** Whether what they wrote, and what is pushed no longer has, is deleted: all, or a plan. */
  readonly prune?: boolean | readonly Planned[];
}

/** What a push has done. */
export interface PushResult {
  /** What each source is there, in the order of the config. */
  readonly images: readonly PushedImage[];
  /** How the bytes of blobs came to be there. */
  readonly traffic: CarriedBytes;
  /** The configuration that leads from their old names to what was pushed, where it was asked for. */
  readonly mirrors?: readonly MirrorFile[];
  /** What became of what earlier pushes wrote, where it was to be pruned. */
  readonly pruned?: readonly Pruned[];
}

/** What a push would do with a source. */
export interface PlannedPush {
  /** Name of the source. */
  readonly name: string;
  /** What it is called in the registry. */
  readonly target: string;
  /** Whether something would be sent, or its name stands for it already. */
  readonly status: "push" | "present";
  /** Digest of the index where it has one, else of the image. */
  readonly digest: string;
  /** Bytes of blobs that the registry does not have, and that no source before it sends. */
  readonly bytes: number;
  /** Bytes of blobs that have to be fetched first. */
  readonly fetch: number;
  /** How many signatures, SBOMs and other referrers come along; absent where none is asked for. */
  readonly referrers?: number;
}

/** What a push would do. */
export interface PushPlan {
  /** What it would do with each source. */
  readonly sources: readonly PlannedPush[];
  /** Bytes to send. */
  readonly bytes: number;
  /** Bytes to fetch first. */
  readonly fetch: number;
  /** The configuration that leads to what is there then, where it was asked for. */
  readonly mirrors?: readonly MirrorFile[];
  /** What would become of what earlier pushes wrote, where it is to be pruned. */
  readonly pruned?: readonly Pruned[];
}

/** What is in the store, or is read from a registry on its way. */
type AnyCargo = Cargo<CarriedBlob | PassingBlob>;

/** A source with what it is called where it is pushed to. */
interface Parcel extends Ware {
  readonly target: Reference;
}

/**
 * Pushes sources to a registry, each under its own path: what the store does not have passes on from
 * where it is, or is fetched first. Blobs go before manifests, images before their index, and the tag
 * comes last.
 *
 * @param request What is pushed, and where to.
 * @param run The run.
 * @returns What is there.
 * @throws {RunError} If some could not be fetched or pushed; the others are there.
 * @throws {UsageError} If two sources would have the same name there, or mirrors cannot be written.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function push(request: PushRequest, run: Run): Promise<PushResult> {
  const parcels = parcel(request);
  const state = await stateOf(request);
  await state?.save(); // what cannot be noted is not sent
  const meter = new Meter(run.emit, 0);
  const sender = new Sender(new Registries(run), reachOf(request, run), run, meter);
  const beside = new ReferrerSender(sender, run.emit);
  const [limit, expect] = [pLimit(run.jobs), expecting(meter)];
  const pushed = new Map<string, PushedImage>();
  const unsent: Record<string, StowageError> = {};
  const sending: Promise<void>[] = [];
  const ship = (each: Parcel, cargo: AnyCargo) => {
    expect(each.target.path, cargo);
    return limit(() =>
      attempt(each, unsent, run, async () => {
        const image = await send(cargo, each.target, { sender, beside, state });
        pushed.set(each.name, image);
        run.emit({ type: "pushed", ...image });
      })
    );
  };
  const byName = new Map(parcels.map((each) => [each.name, each]));
  const passed = new Map<string, AnyCargo>();
  const pass = async (ware: Ware, image: OutsideImage): Promise<boolean> => {
    const each = byName.get(ware.name);
    if (!each) return false;
    const { passing } = await import("./pass.ts");
    const cargo = passing(ware, image);
    try {
      await ship(each, cargo);
    } catch (error) {
      if (!(error instanceof NotPassed)) throw error;
      const message = `"${each.name}" goes through the store: ${error.message}`;
      run.emit({ type: "notice", code: "NOT_PASSED", message, keys: [each.key] });
      return false;
    }
    passed.set(each.name, cargo);
    return true;
  };
  // What is here is sent while others are fetched.
  const onCargo = (name: string, cargo: Cargo) => {
    const each = byName.get(name);
    if (!each) return;
    const sent = ship(each, cargo);
    sent.catch(() => {}); // it is told below
    sending.push(sent);
  };
  const { cargoes: found, failures: unfetched } = await gather(parcels, run, { onCargo, pass })
    .finally(() => Promise.allSettled(sending));
  const cargoes = parcels.flatMap((each): [Parcel, AnyCargo][] => {
    const cargo = passed.get(each.name) ?? found.get(each.name);
    return cargo ? [[each, cargo]] : [];
  });
  tellLeft(cargoes.map(([, cargo]) => cargo).filter(({ name }) => pushed.has(name)), run);
  await Promise.all(sending);
  const failures = { ...unfetched, ...unsent };
  const images = parcels.flatMap(({ name }) => pushed.get(name) ?? []);
  const result = { images, traffic: meter.counts };
  throwIfFailed(failures, parcels.length, result);
  const keep: Keep = new Map();
  for (const [{ target }, { top, images }] of cargoes) {
    stay(keep, target, [top.digest, ...images.map(({ digest }) => digest), ...listed(top.bytes)]);
  }
  const pruned = await pruneOf(request, { state, keep, sender }, false).catch((error) => {
    if (!(error instanceof PushError)) throw error;
    throw new RunError({ [`prune/${error.item}`]: error }, parcels.length, result);
  });
  return { ...result, ...await mirrorsOf(request, parcels, sender), ...pruned };
}

/**
 * Finds out what a push would do; nothing is downloaded but manifests, nothing is sent.
 *
 * @param request What is pushed, and where to.
 * @param run The run.
 * @returns The plan.
 * @throws {RunError} If some sources cannot be had, or the registry does not answer.
 * @throws {UsageError} If two sources would have the same name there, or mirrors cannot be written.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function planPush(request: PushRequest, run: Run): Promise<PushPlan> {
  const parcels = parcel(request);
  const state = await stateOf(request);
  const source = new SkopeoSource(run);
  const outcomes = await source.look(parcels.flatMap(({ items }) => items));
  const artifacts = await lookAtArtifacts(parcels, run);
  const sender = new Sender(
    new Registries(run),
    reachOf(request, run),
    run,
    new Meter(() => {}, 0),
  );
  const failures: Record<string, StowageError> = {};
  const sources: PlannedPush[] = [];
  const asked = new Set<string>();
  const keep: Keep = new Map();
  for (const each of parcels) {
    const own = outcomes.filter(({ item }) => item.source === each.name);
    const artifact = artifacts.get(each.key);
    const failed = own.find((outcome) => "error" in outcome);
    try {
      if (failed && "error" in failed) throw failed.error;
      const context = { asked, keep, sender, source, store: run.store };
      sources.push(
        artifact ? await planArtifact(each, artifact, context) : await planOne(each, own, context),
      );
    } catch (error) {
      if (run.signal.aborted || !(error instanceof StowageError)) throw error;
      failures[each.key] = error;
    }
  }
  const sum = (part: "bytes" | "fetch") => sources.reduce((all, each) => all + each[part], 0);
  const plan = { sources, bytes: sum("bytes"), fetch: sum("fetch") };
  throwIfFailed(failures, parcels.length, plan);
  const pruned = await pruneOf(request, { state, keep, sender }, true);
  return { ...plan, ...await mirrorsOf(request, parcels, sender), ...pruned };
}

async function planOne(
  { key, name, target }: Parcel,
  outcomes: readonly Outcome<ImageItem, Found<PreparedImage>>[],
  { asked, keep, sender, source, store }: Pick<Run, "store"> & {
    readonly asked: Set<string>;
    readonly keep: Keep;
    readonly sender: Sender;
    readonly source: SkopeoSource;
  },
): Promise<PlannedPush> {
  const to = { item: { key, name }, target };
  let [digest, bytes, fetch] = ["", 0, 0];
  const plan = async (blob: string, size: number, isHere: boolean) => {
    if (asked.has(blob)) return;
    asked.add(blob);
    if (!await sender.has(to, blob)) bytes += size;
    if (!isHere) fetch += size;
  };
  const beside = new Map<string, LookedReferrer>();
  for (const outcome of outcomes) {
    if ("error" in outcome) continue;
    const { value } = outcome;
    const [manifest, index] = "image" in value
      ? [(await store.find(value.image.id))?.manifest, value.image.index?.digest]
      : [value.prepared.found.manifest, value.prepared.found.index?.digest];
    const own = "image" in value ? value.image.digest : value.prepared.found.digest;
    digest ||= outcome.item.keepsIndex ? index ?? own : own;
    const list = "prepared" in value
      ? await value.prepared.found.index?.read()
      : value.image.index && await readOutside(value.image.index.path);
    stay(keep, target, [digest, own, ...(list ? listed(list) : [])]);
    for (const each of await source.lookAtReferrers(outcome.item, value)) {
      beside.set([each.subject, each.referrer.digest, each.referrer.tag].join(" "), each);
    }
    if (!manifest) continue; // its place tells it with the download
    for (const [digest, size] of blobsOf(manifest)) {
      const isHere = "image" in value || await store.blobs.has({ digest, size });
      await plan(digest, size, isHere);
    }
  }
  let isAll = true;
  for (const { referrer: { digest, tag, blobs }, isHere } of beside.values()) {
    isAll &&= await sender.find(to, tag ?? digest) === digest;
    for (const blob of blobs) await plan(blob.digest, blob.size, isHere);
  }
  const isThere = await sender.find(to, target.tag ?? digest) === digest;
  const status = isThere && isAll && bytes === 0 ? "present" : "push";
  const asksFor = outcomes.some(({ item }) => item.referrers);
  return {
    ...{ name, target: formatTarget(target, digest), status, digest, bytes, fetch },
    ...(asksFor && { referrers: beside.size }),
  };
}

type LookedArtifact = Outcome<ArtifactNode, FoundArtifact>;

async function lookAtArtifacts(
  parcels: readonly Parcel[],
  run: Run,
): Promise<Map<string, LookedArtifact>> {
  const nodes = parcels.flatMap(({ first }) => first.kind === "artifact" ? [first] : []);
  if (nodes.length === 0) return new Map();
  const { ArtifactDownloads } = await import("../sources/artifacts.ts");
  const outcomes = await new ArtifactDownloads(run).look(nodes);
  return new Map(outcomes.map((outcome) => [outcome.item.key, outcome]));
}

async function planArtifact(
  { key, name, target }: Parcel,
  outcome: LookedArtifact,
  { asked, keep, sender }: {
    readonly asked: Set<string>;
    readonly keep: Keep;
    readonly sender: Sender;
  },
): Promise<PlannedPush> {
  if ("error" in outcome) throw outcome.error;
  const to = { item: { key, name }, target };
  const { value } = outcome;
  const { digest, manifest, size } = "stored" in value ? value.stored : value.found;
  stay(keep, target, [digest]);
  let bytes = 0;
  for (const [blob, size] of blobsOf(manifest)) {
    if (asked.has(blob)) continue;
    asked.add(blob);
    if (!await sender.has(to, blob)) bytes += size;
  }
  const isThere = await sender.find(to, target.tag ?? digest) === digest;
  const status = isThere && bytes === 0 ? "present" : "push";
  const fetch = "stored" in value ? 0 : size;
  return { name, target: formatTarget(target, digest), status, digest, bytes, fetch };
}

type Keep = Map<string, Kept>;

async function stateOf(
  { state, prune, destination: { domain } }: PushRequest,
): Promise<PushState | undefined> {
  if (state !== undefined) return await PushState.open(state, domain);
  if (!prune) return undefined;
  throw new UsageError("Cannot prune: nothing says what earlier pushes wrote", {
    hint: "name the same file with --state at each push; what was pushed without it stays",
  });
}

function stay(keep: Keep, { path, tag }: Reference, digests: readonly string[]): void {
  const kept = keep.get(path) ?? { tags: new Set(), digests: new Set() };
  keep.set(path, kept);
  if (tag !== undefined) kept.tags.add(tag);
  for (const digest of digests) kept.digests.add(digest);
}

/** What an index lists; an image lists nothing. */
function listed(bytes: Uint8Array): string[] {
  const read = readManifest(bytes);
  return read.kind === "index" ? read.index.manifests.map(({ digest }) => digest) : [];
}

async function pruneOf(
  { prune: isAsked, destination: { domain } }: PushRequest,
  { state, keep, sender }: {
    readonly state: PushState | undefined;
    readonly keep: Keep;
    readonly sender: Sender;
  },
  isDry: boolean,
): Promise<Pick<PushResult, "pruned">> {
  if (!isAsked || !state) return {};
  const plan = isAsked === true ? undefined : isAsked;
  return { pruned: await prune({ state, keep, domain, sender, plan }, isDry) };
}

/** What cannot be mirrored is told before anything is sent. */
function parcel(request: PushRequest): Parcel[] {
  const parcels = nameAll(request);
  if (request.mirrors) {
    const anyhow = { scheme: "https", isInsecure: false } as const;
    formatMirrors(request.mirrors, parcels.map(mirrored), anyhow);
  }
  return parcels;
}

async function mirrorsOf(
  { mirrors }: PushRequest,
  parcels: readonly Parcel[],
  sender: Sender,
): Promise<Pick<PushResult, "mirrors">> {
  const [first] = parcels;
  if (!mirrors || !first) return {};
  const reached = await sender.reached({ item: first, target: first.target });
  return { mirrors: formatMirrors(mirrors, parcels.map(mirrored), reached) };
}

function mirrored({ name, first: { locations: [own] }, target }: Parcel): Mirrored {
  return { name, target, ...("reference" in own && { own: own.reference }) };
}

function nameAll({ nodes, destination, maps }: PushRequest): Parcel[] {
  const parcels = waresOf(nodes).map((ware): Parcel => ({
    ...ware,
    target: nameTarget(ware.first, destination, maps),
  }));
  const taken = new Map<string, string>();
  for (const { name: source, target } of parcels) {
    if (target.tag === undefined) continue;
    const name = formatReference(target);
    const other = taken.get(name);
    if (other !== undefined) {
      throw new UsageError(`Cannot push both "${other}" and "${source}" as ${name}`, {
        hint: `give one another name with --map ${source}=path:tag`,
      });
    }
    taken.set(name, source);
  }
  return parcels;
}

/** Tells what of the sources that were pushed is not in the registry: a notice a reason. */
function tellLeft(pushed: readonly AnyCargo[], { emit }: Run): void {
  const sparse = pushed.filter(({ absent }) => absent.length > 0);
  if (sparse.length > 0) {
    const lacks = sparse.map(({ name, absent }) => `"${name}" (${absent.join(", ")})`);
    const message = `indexes name images that are not in the registry: ${lacks.join(", ")}`;
    emit({ type: "notice", code: "SPARSE_INDEX", message, keys: sparse.map(({ key }) => key) });
  }
  const signed = pushed.filter(({ images }) =>
    images.some(({ signatures }) => signatures.length > 0)
  );
  if (signed.length > 0) {
    const names = signed.map(({ name }) => `"${name}"`).join(", ");
    const message = `signatures stay here, as push sends images only: those of ${names}`;
    emit({ type: "notice", code: "SIGNATURES_LEFT", message, keys: signed.map(({ key }) => key) });
  }
}

async function send(
  cargo: AnyCargo,
  target: Reference,
  { sender, beside, state }: {
    readonly sender: Sender;
    readonly beside: ReferrerSender;
    readonly state: PushState | undefined;
  },
): Promise<PushedImage> {
  const { top, images, absent, referrers = [] } = cargo;
  const to: SendTo = { item: cargo, target };
  const before = target.tag === undefined ? undefined : await sender.find(to, target.tag);
  const sent = blobsOfCargo(cargo).map((blob) => sender.sendBlob(to, blob));
  await Promise.allSettled(sent);
  await Promise.all(sent);
  for (const image of images) {
    if (image === top) continue;
    if (await sender.find(to, image.digest) === image.digest) continue;
    await sender.putManifest(to, image);
    await state?.add(target.path, image.digest);
  }
  const name = target.tag ?? top.digest;
  const isThere = (before ?? await sender.find(to, name)) === top.digest;
  // What is signed has its signatures by the time that its name stands for it.
  const isNamedLast = !isThere && target.tag !== undefined && referrers.length > 0;
  try {
    if (!isThere) {
      await sender.putManifest(to, top, isNamedLast ? top.digest : target.tag);
      await state?.add(target.path, top.digest, isNamedLast ? undefined : target.tag);
    }
  } catch (error) {
    if (!(error instanceof PushError) || error.reason !== "refused" || absent.length === 0) {
      throw error;
    }
    const message = "the registry takes no index without all of its images, and the store does " +
      `not have ${absent.join(", ")}`;
    throw new PushError(cargo.name, formatReference(target), message, {
      hint: `set index: true in sources.${cargo.name}, and leave its platforms out`,
      cause: error,
    });
  }
  const sentBeside = await beside.send(to, referrers);
  if (isNamedLast) {
    await sender.putManifest(to, top, target.tag);
    await state?.add(target.path, top.digest, target.tag);
  }
  return {
    ...nameOf(cargo),
    status: isThere ? "present" : "pushed",
    target: formatTarget(target, top.digest),
    digest: top.digest,
    platforms: images.map(({ platform }) => platform),
    ...(absent.length > 0 && { missing: absent }),
    ...(cargo.referrers && { referrers: sentBeside }),
  };
}

/** Each blob counts once a repository, as it is sent. */
function expecting(meter: Meter): (path: string, cargo: AnyCargo) => void {
  const known = new Set<string>();
  return (path, cargo) => {
    for (const { digest, size } of blobsOfCargo(cargo)) {
      const key = `${path}@${digest}`;
      if (!known.has(key)) meter.expect(size);
      known.add(key);
    }
  };
}

function blobsOfCargo(
  { images, artifact, referrers = [] }: AnyCargo,
): (CarriedBlob | PassingBlob)[] {
  return [...images, ...artifact ? [artifact] : [], ...referrers].flatMap(({ blobs }) => blobs);
}

/** What has no tag is there by its digest. */
function formatTarget(target: Reference, digest: string): string {
  return formatReference(target.tag === undefined ? { ...target, digest } : target);
}

/** What the push itself says counts more than what the config says of the registry. */
function reachOf({ how }: PushRequest, run: Run): (target: Reference) => RegistryOptions {
  return (target) => run.reach(target, how);
}
