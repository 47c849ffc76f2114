import * as v from "valibot";
import { formatLocation, formatPlatform, isDigest } from "../../config/mod.ts";
import type { SourceDraft } from "./source_draft.ts";

/** What a source's image is on one platform. */
export interface LockedImage {
  /** Digest of the manifest, as the source has it. */
  readonly digest: string;
  /** Image id. */
  readonly id: string;
  /** Media type of the manifest. */
  readonly mediaType: string;
  /** Size of config and layers, in bytes. */
  readonly size: number;
}

/** What a source stood for when it was locked. */
export interface LockedSource {
  /** Where it is, in skopeo's words and as the config has it: an entry is for this place only. */
  readonly reference: string;
  /** The tag that was asked for. */
  readonly tag?: string;
  /** The index that the tag stood for. */
  readonly index?: {
    /** Its digest. */
    readonly digest: string;
    /** Its media type. */
    readonly mediaType: string;
    /** Its size, in bytes. */
    readonly size: number;
  };
  /** What it is on each platform, by `os/arch[/variant]`. */
  readonly platforms: Readonly<Record<string, LockedImage>>;
}

/** The content of `images.lock.json`: what the tags of a config meant. */
export interface Lock {
  /** Where the JSON Schema of the lock is, for editors. */
  readonly $schema?: string;
  /** Version of the format. */
  readonly schema: 1;
  /** The sources by name. */
  readonly sources: Readonly<Record<string, LockedSource>>;
}

const Digest = v.pipe(v.string(), v.check(isDigest, '"sha256:" and 64 lower-case hex digits'));
const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** The schema of `images.lock.json`. */
export const LockSchema: v.GenericSchema<Lock> = v.strictObject({
  $schema: v.exactOptional(v.string()),
  schema: v.literal(1),
  sources: v.record(
    v.string(),
    v.strictObject({
      reference: v.string(),
      tag: v.exactOptional(v.string()),
      index: v.exactOptional(
        v.strictObject({ digest: Digest, mediaType: v.string(), size: Size }),
      ),
      platforms: v.record(
        v.string(),
        v.strictObject({ digest: Digest, id: Digest, mediaType: v.string(), size: Size }),
      ),
    }),
  ),
});

/** What a lock says of a source. */
export type LockState =
  | { readonly status: "locked"; readonly entry: LockedSource; readonly image: LockedImage }
  | { readonly status: "missing" | "stale"; readonly reason: string };

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
    return { status: "stale", reason: `the lock has it at ${entry.reference}` };
  }
  const platform = formatPlatform(draft.platform);
  const image = Object.hasOwn(entry.platforms, platform) ? entry.platforms[platform] : undefined;
  if (!image) return { status: "missing", reason: `the lock does not have it for ${platform}` };
  if (draft.digest && draft.digest !== image.digest && draft.digest !== entry.index?.digest) {
    return { status: "stale", reason: `the lock has it with digest ${image.digest}` };
  }
  if (draft.imageId && draft.imageId !== image.id) {
    return { status: "stale", reason: `the lock has it with id ${image.id}` };
  }
  if (draft.keepsIndex && !entry.index) {
    return { status: "missing", reason: "the lock has no index of it" };
  }
  return { status: "locked", entry, image };
}

/**
 * Pins a source to what a lock says of it.
 *
 * @param name Name of the source.
 * @param draft The source.
 * @param lock The lock.
 * @returns The source, with the digest and the image id that the config leaves out.
 */
export function pin(name: string, draft: SourceDraft, lock: Lock): SourceDraft {
  const state = lookUp(name, draft, lock);
  if (state.status !== "locked") return { ...draft, unlocked: state.reason };
  const { entry, image } = state;
  const digest = draft.keepsIndex ? entry.index?.digest ?? image.digest : image.digest;
  // What is locked needs no more asking.
  return { ...draft, digest, imageId: image.id, checksTag: false };
}
