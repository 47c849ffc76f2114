import type { RegistrySettings } from "../../config/mod.ts";
import { type ArtifactSource, placeOfArtifact } from "../../config/artifacts.ts";
import { hasTag } from "../../config/reference.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import { formatLocation, readLocation, transportOf } from "../transports/mod.ts";
import type { Lock, LockedArtifact } from "./lock_schema.ts";
import type { ArtifactNode } from "./node.ts";

/** An artifact with every value read, before it is a node. */
export type ArtifactDraft = Pick<
  ArtifactNode,
  "source" | "family" | "locations" | "digest" | "digestIsLocked" | "tag" | "isPinned" | "unlocked"
>;

/**
 * Reads the values of an artifact whose shape is right.
 *
 * @param name Its name.
 * @param source The artifact.
 * @param registries How registries are reached.
 * @param issues Takes what is wrong.
 * @returns The artifact with its values read.
 */
export function draftArtifact(
  name: string,
  source: ArtifactSource,
  registries: RegistrySettings | undefined,
  issues: ConfigIssue[],
): ArtifactDraft {
  const location = readLocation(placeOfArtifact(source), { registries });
  const reference = location && "reference" in location ? location.reference : undefined;
  if (!location || !reference) throw new TypeError(`Cannot read source "${name}": it has no place`);
  const digest = source.digest ?? reference.digest;
  if (reference.digest && digest !== reference.digest) {
    issues.push({
      path: `sources.${name}.digest`,
      value: source.digest,
      expected: `the digest of its reference, "${reference.digest}"`,
    });
  }
  const tag = digest === undefined || hasTag(source.reference) ? reference.tag : undefined;
  return {
    source: name,
    locations: [location],
    ...(digest !== undefined && { digest }),
    ...(tag !== undefined && { tag }),
    isPinned: digest !== undefined,
  };
}

/**
 * Pins an artifact to what a lock says of it.
 *
 * @param draft The artifact.
 * @param lock The lock.
 * @returns The artifact, with the digest that the config leaves out, or why the lock does not say it.
 */
export function pinArtifact(draft: ArtifactDraft, lock: Lock): ArtifactDraft {
  const entry = lockedArtifact(draft.source, lock);
  const reference = formatLocation(draft.locations[0]);
  const unlocked = !entry
    ? "it is not in the lock"
    : entry.reference !== reference
    ? `the config has ${reference}, and the lock ${entry.reference}`
    : draft.digest !== undefined && draft.digest !== entry.digest
    ? `the config has digest ${draft.digest}, and the lock ${entry.digest}`
    : undefined;
  if (!entry || unlocked !== undefined) {
    // A lock that does not know it has nothing to add to a digest.
    return !entry && draft.isPinned ? draft : { ...draft, unlocked: unlocked ?? "" };
  }
  return { ...draft, digest: entry.digest, ...(!draft.isPinned && { digestIsLocked: true }) };
}

/**
 * Looks up what a lock says of an artifact.
 *
 * @param name Name of the source.
 * @param lock The lock.
 * @returns What it was; `undefined` where there is none of that name.
 */
export function lockedArtifact(
  name: string,
  { artifacts = {} }: Lock,
): LockedArtifact | undefined {
  return Object.hasOwn(artifacts, name) ? artifacts[name] : undefined;
}

/**
 * What an artifact means: all that decides what it is, and nothing of how it is reached.
 *
 * @param draft The artifact with its values read.
 * @returns Plain data to hash.
 */
export function artifactMeaning({ locations: [location], digest }: ArtifactDraft): unknown {
  return { kind: "artifact", location: transportOf(location).meaning(location), digest };
}
