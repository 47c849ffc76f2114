import type { AttemptReason, ErrorData } from "./errors/mod.ts";
import type { Finding, LeftFinding, RepairedFinding } from "./finding.ts";

/** What an event or a result is about. */
export interface ItemName {
  /** Key of its node, such as `source/app`: a stage may have the same name. */
  readonly key: string;
  /** Its name in the config; with its platform, where a source has several. */
  readonly name: string;
}

/**
 * What an event or a result says of the item that it is about.
 *
 * @param item An item, which may have much more to it.
 * @returns Its key and its name.
 */
export function nameOf({ key, name }: ItemName): ItemName {
  return { key, name };
}

/** An image that is in the store. */
export interface ImageResult extends ItemName {
  /** Whether it was there already or had to be fetched. */
  readonly status: "cached" | "fetched";
  /** Image id. */
  readonly id: string;
  /** Digest of the manifest as its source has it. */
  readonly digest: string;
  /** Digest of the manifest as it is in `path`; a storage may give another than a registry. */
  readonly manifest: string;
  /** Platform that it is for, as its own config says. */
  readonly platform: string;
  /** Folder of the image, in the format of the `dir` transport. */
  readonly path: string;
  /** Size of manifest, config and layers together, in bytes. */
  readonly size: number;
  /** The place that it was fetched from, as skopeo was told it; absent for `cached`. */
  readonly from?: string;
  /** What refers to it, and to its index where that is kept; absent where none was asked for. */
  readonly referrers?: readonly ReferrerResult[];
  /** The index that it was chosen from, where the source keeps it. */
  readonly index?: {
    /** Its digest. */
    readonly digest: string;
    /** Its file. */
    readonly path: string;
    /** The images of all its platforms, where the source wants them all. */
    readonly images?: readonly IndexedImage[];
    /** What it has for no platform, such as BuildKit's attestations; absent where nothing is. */
    readonly attestations?: readonly IndexedImage[];
  };
}

/** What is no image, and is in the store. */
export interface ArtifactResult extends ItemName {
  /** Whether it was there already or had to be fetched. */
  readonly status: "cached" | "fetched";
  /** Digest of its manifest. */
  readonly digest: string;
  /** What it is: its `artifactType`, or the media type of its config. */
  readonly kind: string;
  /** Folder of its manifest and blobs, in the format of the `dir` transport. */
  readonly path: string;
  /** Size of manifest, config and layers together, in bytes. */
  readonly size: number;
  /** The place that it was fetched from; absent for `cached`. */
  readonly from?: string;
}

/** An artifact is in the store. */
export interface ArtifactEvent extends ArtifactResult {
  /** Tells events apart. */
  readonly type: "artifact";
}

/** What refers to an image, or to its index, and is in the store. */
export interface ReferrerResult {
  /** Digest of what it refers to. */
  readonly subject: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** What it is: its `artifactType`, else the media type of its config or its first layer. */
  readonly kind: string;
  /** Whether it was there already or had to be fetched. */
  readonly status: "cached" | "fetched";
  /** Size of manifest, config and layers together, in bytes. */
  readonly size: number;
  /** The tag that it is found by, where that is how it refers to something, as cosign's do. */
  readonly tag?: string;
}

/** A registry has said what refers to an image or an index, and it is in the store. */
export interface ReferrersEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "referrers";
  /** Digest of what they refer to. */
  readonly subject: string;
  /** The referrers, of the kinds that are wanted. */
  readonly referrers: readonly ReferrerResult[];
}

/** An image of an index that is in the store. */
export type IndexedImage = Pick<
  ImageResult,
  "key" | "name" | "status" | "platform" | "id" | "digest" | "path" | "size"
>;

/** An image that a stage has made or installed. */
export interface MadeImage {
  /** What it is called there; absent where it has no name. */
  readonly name?: string;
  /** Image id. */
  readonly id: string;
  /** Digest of the manifest that it was made with, or installed from. */
  readonly digest: string;
}

/** A stage that has run, or whose tree was there already. */
export interface StageResult extends ItemName {
  /** Whether it had to run. */
  readonly status: "cached" | "ran";
  /** sha256 over all that its tree depends on, 64 hex digits. */
  readonly id: string;
  /** The tree that it, or the last stage that continues it, has made; absent where none is kept. */
  readonly tree?: string;
  /** The images that it has made or installed; absent where there are none. */
  readonly images?: readonly MadeImage[];
}

/** A run begins. */
export interface StartEvent {
  /** Tells events apart. */
  readonly type: "start";
  /** What is run. */
  readonly action:
    | "plan"
    | "fetch"
    | "build"
    | "lock"
    | "outdated"
    | "push"
    | "bundle"
    | "load"
    | "verify"
    | "gc";
  /** Names of the sources that it needs. */
  readonly sources: readonly string[];
  /** Keys of all that it needs, such as `source/app`. */
  readonly keys: readonly string[];
  /** The store's folder. */
  readonly store: string;
}

/** Something that the user should know, and that is no failure. */
export interface NoticeEvent {
  /** Tells events apart. */
  readonly type: "notice";
  /** Tells notices apart. */
  readonly code:
    | "ATTESTATION_LEFT"
    | "COMPILE_BASE"
    | "CACHE_LEFT"
    | "CONFIG_NOTE"
    | "DEFAULT_POLICY"
    | "FOREIGN_OWNER"
    | "LAYER_BUSY"
    | "LEFT_OUT"
    | "LOCK_BUSY"
    | "LOCK_UNREAD"
    | "NOT_PASSED"
    | "NO_WORKER"
    | "PASSED_OVER"
    | "QUEUE_AWAY"
    | "REFERRERS_KEPT"
    | "REFERRER_LEFT"
    | "REGISTRY_BUSY"
    | "RUNS_HERE"
    | "SIGNATURES_LEFT"
    | "SKOPEO_ONLY"
    | "SPARSE_INDEX"
    | "STORE_BUSY"
    | "STORE_OPEN"
    | "UNDATED"
    | "UNPINNED"
    | "UNPINNED_OFFLINE";
  /** What it is, and what to do about it. */
  readonly message: string;
  /** Keys of the items that it is about, where it is about some. */
  readonly keys?: readonly string[];
}

/** It is known which image a source stands for. */
export interface ResolvedEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "resolved";
  /** The place that has it, as skopeo was told it. */
  readonly from: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** Image id, where the place tells it before the download. */
  readonly id?: string;
  /** Size of config and layers, in bytes, where the place tells it before the download. */
  readonly size?: number;
}

/** How bytes got here. */
export interface ByteCounts {
  /** Bytes that are here, however they got here. */
  readonly bytes: number;
  /** Bytes that came over the wire in this run. */
  readonly fetched: number;
  /** Bytes of layers that the store had, or that another image of this run has fetched. */
  readonly shared: number;
  /** Bytes that an earlier run, which was cut, has left. */
  readonly resumed: number;
}

/** An image is on its way. */
export interface ProgressEvent extends ItemName, ByteCounts {
  /** Tells events apart. */
  readonly type: "progress";
  /** Bytes that there will be, where that is known. */
  readonly total?: number;
  /** Name of another image, where a layer is waited for that comes for that one. */
  readonly waitsFor?: string;
}

/** All images of the run together are on their way; in `bytes` and `total` each blob counts once. */
export interface TrafficEvent extends ByteCounts {
  /** Tells events apart. */
  readonly type: "traffic";
  /** Bytes that there will be, of the images that are known by now. */
  readonly total: number;
  /** How many images there are that are not known yet; absent where all are. */
  readonly unknown?: number;
  /** Bytes a second that came over the wire in the last seconds. */
  readonly rate: number;
  /** How long it takes at this rate, in seconds; absent while nothing comes. */
  readonly left?: number;
}

/** The same place is tried once more. */
export interface RetryEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "retry";
  /** The place, as skopeo was told it. */
  readonly from: string;
  /** Which try comes now; the first was 1. */
  readonly attempt: number;
  /** How many tries there are at most. */
  readonly attempts: number;
  /** Why the last try failed. */
  readonly reason: string;
}

/** A place does not have an image; the next one is tried. */
export interface AbsentEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "absent";
  /** The place, as skopeo was told it. */
  readonly from: string;
  /** Why not, in a word. */
  readonly reason: AttemptReason;
  /** Why not, in the tool's words. */
  readonly message: string;
}

/** An image is in the store. */
export interface ImageEvent extends ImageResult {
  /** Tells events apart. */
  readonly type: "image";
}

/** An item failed; the others go on. */
export interface FailedEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "failed";
  /** Why. */
  readonly error: ErrorData;
}

/** How bytes came to be where they are carried. */
export interface CarriedBytes {
  /** Bytes that were sent in this run. */
  readonly sent: number;
  /** Bytes that the registry took from another of its repositories. */
  readonly mounted: number;
  /** Bytes that were there already. */
  readonly present: number;
}

/** Images are on their way to where they are carried. */
export interface CarryingEvent extends CarriedBytes {
  /** Tells events apart. */
  readonly type: "carrying";
  /** Bytes that are there. */
  readonly bytes: number;
  /** Bytes that there will be. */
  readonly total: number;
}

/** What a source stands for, in the registry that it was pushed to. */
export interface PushedImage extends ItemName {
  /** Whether its name stood for it already. */
  readonly status: "pushed" | "present";
  /** What it is called there: with its tag, or else with its digest. */
  readonly target: string;
  /** Digest of the index where it has one, else of the image: as its source serves it. */
  readonly digest: string;
  /** Platforms of its images. */
  readonly platforms: readonly string[];
  /** What its index names beside them, by platform or by digest; absent where it is whole. */
  readonly missing?: readonly string[];
  /** What refers to it there, as far as the store has it; absent where none was asked for. */
  readonly referrers?: readonly PushedReferrer[];
}

/** What refers to an image or an index, in the registry that both were pushed to. */
export interface PushedReferrer
  extends Pick<ReferrerResult, "subject" | "digest" | "kind" | "tag"> {
  /** Whether it was there already; `left` where its tag has what the store has not. */
  readonly status: "pushed" | "present" | "left";
}

/** A source is in the registry that it was pushed to, and was read back. */
export interface PushedEvent extends PushedImage {
  /** Tells events apart. */
  readonly type: "pushed";
}

/** A stage begins. */
export interface StageStartEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "stage-start";
}

/** A stage is done. */
export interface StageEvent extends StageResult {
  /** Tells events apart. */
  readonly type: "stage";
}

/** An item is not done, as something that it needs failed. */
export interface SkippedEvent extends ItemName {
  /** Tells events apart. */
  readonly type: "skipped";
  /** Key of what failed. */
  readonly because: string;
}

/** A store, or a bundle, is being hashed. */
export interface VerifyingEvent {
  /** Tells events apart. */
  readonly type: "verifying";
  /** Bytes that are hashed. */
  readonly bytes: number;
  /** Bytes that will be. */
  readonly total: number;
}

/** A piece of a bundle is verified and read, or has to come next. */
export interface PieceEvent {
  /** Tells events apart. */
  readonly type: "piece";
  /** Whether it is at hand. */
  readonly status: "verified" | "wanted";
  /** Name of its file. */
  readonly name: string;
  /** Which one it is, from 1. */
  readonly number: number;
  /** How many there are. */
  readonly of: number;
  /** Its size in bytes. */
  readonly size: number;
}

/** Something in the store is not what it has to be. */
export interface DamagedEvent extends Finding {
  /** Tells events apart. */
  readonly type: "damaged";
}

/** Something in the store is what it has to be again. */
export interface RepairedEvent extends RepairedFinding {
  /** Tells events apart. */
  readonly type: "repaired";
}

/** Something in the store could not be repaired. */
export interface UnrepairedEvent extends LeftFinding {
  /** Tells events apart. */
  readonly type: "unrepaired";
}

/** Something of the store that nothing needs, and that goes. */
export interface GarbageEvent {
  /** Tells events apart. */
  readonly type: "garbage";
  /** What it is. */
  readonly kind:
    | "image"
    | "artifact"
    | "tree"
    | "archive"
    | "blob"
    | "bundle"
    | "partial"
    | "quarantine"
    | "workspace";
  /** Its image id, digest, or the name of its file. */
  readonly name: string;
  /** Where it came from: the reference of an image, the stage of a tree. */
  readonly origin?: string;
  /** When it was used last, as ISO 8601 has it. */
  readonly used: string;
  /** What is freed when it goes after those before it, in bytes on disk. */
  readonly bytes: number;
}

/** All garbage was told; what is removed is removed from now on. */
export interface GarbageTotalEvent {
  /** Tells events apart. */
  readonly type: "garbage-total";
  /** How many things go. */
  readonly things: number;
  /** What they take on disk, in bytes, hard links once. */
  readonly bytes: number;
  /** What the store takes on disk, in bytes, hard links once. */
  readonly size: number;
  /** How far above `maxSize` is what has to stay, in bytes; absent where it is not. */
  readonly over?: number;
}

/** Something of the store is gone. */
export interface RemovedEvent extends Pick<GarbageEvent, "kind" | "name" | "bytes"> {
  /** Tells events apart. */
  readonly type: "removed";
}

/** Something of a cache that was not used for long is gone. */
export interface PrunedEvent {
  /** Tells events apart. */
  readonly type: "pruned";
  /** Its name there. */
  readonly target: string;
  /** Its digest. */
  readonly digest: string;
}

/** A worker waits for jobs, or has begun or ended one. */
export interface WorkerEvent {
  /** Tells events apart. */
  readonly type: "worker";
  /** What it does: `returned` is a job that it leaves to others, as it ends. */
  readonly status: "waiting" | "begun" | "done" | "failed" | "returned";
  /** Its name. */
  readonly worker: string;
  /** Where it waits, without a login. */
  readonly queue: string;
  /** The run that the job is of; absent while it waits. */
  readonly run?: string;
  /** Key of the item that the job is for; absent while it waits. */
  readonly key?: string;
}

/** What an operation tells, before its time is put to it. */
export type RunEvent =
  | StartEvent
  | NoticeEvent
  | ResolvedEvent
  | ArtifactEvent
  | ReferrersEvent
  | ProgressEvent
  | TrafficEvent
  | RetryEvent
  | AbsentEvent
  | ImageEvent
  | CarryingEvent
  | PushedEvent
  | StageStartEvent
  | StageEvent
  | FailedEvent
  | SkippedEvent
  | VerifyingEvent
  | PieceEvent
  | DamagedEvent
  | RepairedEvent
  | UnrepairedEvent
  | GarbageEvent
  | GarbageTotalEvent
  | RemovedEvent
  | PrunedEvent
  | WorkerEvent;

/** What an operation tells, and who, if that was a worker. */
export type ToldEvent = RunEvent & {
  /** Name of the worker where it happened; absent where it was this process. */
  readonly worker?: string;
};

/** All that a run tells while it runs. */
export type StowageEvent = ToldEvent & {
  /** When it was told, as ISO 8601 has it. */
  readonly time: string;
};

/** Takes events, one after the other. */
export type Listener = (event: StowageEvent) => void;

/** Takes what an operation tells. */
export type Emit = (event: ToldEvent) => void;

/**
 * Puts the time to what an operation tells.
 *
 * @param listener Takes the events; nobody if absent.
 * @returns Takes what the operation tells.
 */
export function emitTo(listener: Listener | undefined): Emit {
  return (event) => listener?.({ ...event, time: new Date().toISOString() });
}
