import { formatPlatform } from "../../config/mod.ts";
import { formatLocation } from "../transports/mod.ts";
import type { Lock, LockedImage, LockedSource } from "./lock_schema.ts";
import type { SourceDraft } from "./source_draft.ts";

/** What a lock says of a source. */
export type LockState =
  | { readonly status: "locked"; readonly entry: LockedSource; readonly image: LockedImage }
  | {
    readonly status: "missing" | "stale";
    readonly reason: string;
    /** The index that the lock has of it, for other platforms. */
    readonly index?: string;
  };

/**
 * Looks a source up in a lock.
 *
 * @param name Name of the source.
 * @param draft The source, with its values read.
 * @param lock The lock.
 * @returns Its image on its platform, or why the lock does not say.
 */
export function lookUp(name: string, draft: SourceDraft, lock: Lock): LockState {
  const entry = Object.hasOwn(lock.sources, name) ? lock.sources[name] : undefined;
  if (!entry) return { status: "missing", reason: "it is not in the lock" };
  const reference = formatLocation(draft.locations[0]);
  if (entry.reference !== reference) {
    return {
      status: "stale",
      reason: `the config has ${reference}, and the lock ${entry.reference}`,
    };
  }
  const platform = formatPlatform(draft.platform);
  const [only] = draft.platformIsGiven || entry.index ? [] : Object.values(entry.platforms);
  const image = Object.hasOwn(entry.platforms, platform) ? entry.platforms[platform] : only;
  if (!image) {
    const locked = Object.keys(entry.platforms).join(", ");
    const reason = `the config has it for ${platform}, and the lock for ${locked}`;
    return { status: "missing", reason, ...(entry.index && { index: entry.index.digest }) };
  }
  if (draft.digest && draft.digest !== image.digest && draft.digest !== entry.index?.digest) {
    const reason = `the config has digest ${draft.digest}, and the lock ${image.digest}`;
    return { status: "stale", reason };
  }
  if (draft.imageId && draft.imageId !== image.id) {
    const reason = `the config has id ${draft.imageId}, and the lock ${image.id}`;
    return { status: "stale", reason };
  }
  if (draft.keepsIndex && !entry.index) {
    return { status: "missing", reason: "the config has index: true, and the lock no index of it" };
  }
  return { status: "locked", entry, image };
}

/**
 * Pins a source to what a lock says of it.
 *
 * @param name Name of the source.
 * @param draft The source.
 * @param lock The lock.
 * @returns The source, with the digest and the image id that the config leaves out; or why the lock
 * does not say them, where the config does not say both.
 */
export function pin(name: string, draft: SourceDraft, lock: Lock): SourceDraft {
  const state = lookUp(name, draft, lock);
  if (state.status !== "locked") {
    // A lock that does not know it has nothing to add to a digest and an id; one that knows it
    // otherwise has to be asked about.
    const isComplete = draft.digest !== undefined && draft.imageId !== undefined;
    if (state.status === "missing" && isComplete) return draft;
    const isOpen = draft.digest === undefined && draft.imageId === undefined;
    // Another platform is of the index that is locked, wherever the tag has gone since.
    const { index } = state;
    const pinned = isOpen && index !== undefined
      ? { digest: index, digestIsLocked: true, checksTag: false }
      : {};
    return { ...draft, ...pinned, unlocked: state.reason };
  }
  const { entry, image } = state;
  const digest = draft.keepsIndex ? entry.index?.digest ?? image.digest : image.digest;
  return {
    ...draft,
    digest,
    ...(draft.digest === undefined && { digestIsLocked: true }),
    imageId: image.id,
    ...(entry.index && { lockedIndex: entry.index.digest }),
    // What is locked needs no more asking.
    checksTag: false,
  };
}
