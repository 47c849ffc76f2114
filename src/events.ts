import type { AttemptReason, ErrorData } from "./errors.ts";

/** An image that is in the store. */
export interface ImageResult {
  /** Name of the source. */
  readonly name: string;
  /** Whether it was there already or had to be fetched. */
  readonly status: "cached" | "fetched";
  /** Image id. */
  readonly id: string;
  /** Digest of the manifest as its source has it. */
  readonly digest: string;
  /** Digest of the manifest as it is in `path`; a storage may give another than a registry. */
  readonly manifest: string;
  /** Platform that it was asked for. */
  readonly platform: string;
  /** Folder of the image, in the format of the `dir` transport. */
  readonly path: string;
  /** Size of manifest, config and layers together, in bytes. */
  readonly size: number;
  /** The place that it was fetched from, as skopeo was told it; absent for `cached`. */
  readonly from?: string;
  /** The index that it was chosen from, where the source keeps it. */
  readonly index?: { readonly digest: string; readonly path: string };
}

/** A stage that has run, or whose tree was there already. */
export interface StageResult {
  /** Name of the stage. */
  readonly name: string;
  /** Whether it had to run. */
  readonly status: "cached" | "ran";
  /** sha256 over all that its tree depends on, 64 hex digits. */
  readonly id: string;
  /** The tree that it, or the last stage that continues it, has made; absent where none is kept. */
  readonly tree?: string;
}

/** A run begins. */
export interface StartEvent {
  /** What happened. */
  readonly type: "start";
  /** What is run. */
  readonly action: "plan" | "fetch" | "build" | "lock" | "outdated";
  /** Names of the sources that it needs. */
  readonly sources: readonly string[];
  /** The store's folder. */
  readonly store: string;
}

/** Something that the user should know, and that is no failure. */
export interface NoticeEvent {
  /** What happened. */
  readonly type: "notice";
  /** Tells notices apart. */
  readonly code: "DEFAULT_POLICY" | "UNPINNED" | "UNPINNED_OFFLINE";
  /** What it is, and what to do about it. */
  readonly message: string;
}

/** It is known which image a source stands for. */
export interface ResolvedEvent {
  /** What happened. */
  readonly type: "resolved";
  /** Name of the source. */
  readonly name: string;
  /** The place that has it, as skopeo was told it. */
  readonly from: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** Image id, where the place tells it before the download. */
  readonly id?: string;
  /** Size of config and layers, in bytes, where the place tells it before the download. */
  readonly size?: number;
}

/** An image is on its way. */
export interface ProgressEvent {
  /** What happened. */
  readonly type: "progress";
  /** Name of the source. */
  readonly name: string;
  /** Bytes that have arrived. */
  readonly bytes: number;
  /** Bytes that have to, where that is known. */
  readonly total?: number;
}

/** The same place is tried once more. */
export interface RetryEvent {
  /** What happened. */
  readonly type: "retry";
  /** Name of the source. */
  readonly name: string;
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
export interface AbsentEvent {
  /** What happened. */
  readonly type: "absent";
  /** Name of the source. */
  readonly name: string;
  /** The place, as skopeo was told it. */
  readonly from: string;
  /** Why not, in a word. */
  readonly reason: AttemptReason;
  /** Why not, in the tool's words. */
  readonly message: string;
}

/** An image is in the store. */
export interface ImageEvent extends ImageResult {
  /** What happened. */
  readonly type: "image";
}

/** An item failed; the others go on. */
export interface FailedEvent {
  /** What happened. */
  readonly type: "failed";
  /** Name of the item. */
  readonly name: string;
  /** Why. */
  readonly error: ErrorData;
}

/** A stage begins. */
export interface StageStartEvent {
  /** What happened. */
  readonly type: "stage-start";
  /** Name of the stage. */
  readonly name: string;
}

/** A stage is done. */
export interface StageEvent extends StageResult {
  /** What happened. */
  readonly type: "stage";
}

/** An item is not done, as something that it needs failed. */
export interface SkippedEvent {
  /** What happened. */
  readonly type: "skipped";
  /** Name of the item. */
  readonly name: string;
  /** Name of what failed. */
  readonly because: string;
}

/** All that a run tells while it runs. */
export type StowageEvent =
  | StartEvent
  | NoticeEvent
  | ResolvedEvent
  | ProgressEvent
  | RetryEvent
  | AbsentEvent
  | ImageEvent
  | StageStartEvent
  | StageEvent
  | FailedEvent
  | SkippedEvent;

/** Takes events, one after the other. */
export type Listener = (event: StowageEvent) => void;
