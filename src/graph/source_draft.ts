import {
  formatPlatform,
  hasTag,
  type ImageSource,
  parsePlatform,
  type Platform,
  type RegistrySettings,
} from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import { readLocation, transportOf } from "../transports/mod.ts";
import type { SourceNode } from "./node.ts";

/** A source with every value read, before it is a node. */
export type SourceDraft = Pick<
  SourceNode,
  | "source"
  | "family"
  | "locations"
  | "digest"
  | "digestIsLocked"
  | "lockedIndex"
  | "imageId"
  | "platform"
  | "platformIsGiven"
  | "keepsIndex"
  | "wantsAll"
  | "referrers"
  | "tag"
  | "checksTag"
  | "isPinned"
  | "unlocked"
>;

/**
 * Reads the values of a source whose shape is right.
 *
 * @param name Its name.
 * @param source The source.
 * @param around The config's platform, and the one to use where nothing names one; how registries
 * are reached.
 * @param issues Takes what is wrong.
 * @returns The source with its values read, once for each of its platforms.
 */
export function draftSource(
  name: string,
  source: ImageSource,
  { platform, registries }: {
    readonly platform: { readonly given: string | undefined; readonly other: Platform };
    readonly registries: RegistrySettings | undefined;
  },
  issues: ConfigIssue[],
): SourceDraft[] {
  const own = readLocation(source, { registries });
  if (!own) throw new TypeError(`Cannot read source "${name}": it has no reference`);
  const reference = "reference" in own ? own.reference : undefined;
  const fallbacks = (source.fallback ?? []).flatMap((fallback, index) => {
    const location = readLocation(fallback, { reference, registries });
    if (location) return [location];
    issues.push({
      path: `sources.${name}.fallback.${index}.reference`,
      expected: `a reference, as sources.${name} has none`,
    });
    return [];
  });
  const digest = source.digest ?? reference?.digest;
  if (reference?.digest && digest !== reference.digest) {
    issues.push({
      path: `sources.${name}.digest`,
      value: source.digest,
      expected: `the digest of its reference, "${reference.digest}"`,
    });
  }
  if (source.platforms && (source.platform || source.id)) {
    const other = source.platform ? "platform" : "id";
    issues.push({
      path: `sources.${name}.platforms`,
      value: source.platforms,
      expected: `no ${other} beside it, as that is of one platform`,
    });
  }
  const one = source.platform ?? platform.given;
  const given = (source.platforms ?? (one === undefined ? [] : [one])).map(parsePlatform);
  const isTagged = "reference" in source && source.reference !== undefined &&
    hasTag(source.reference);
  const tag = digest === undefined || isTagged ? reference?.tag : undefined;
  const distinct = new Map(given.map((each) => [formatPlatform(each), each]));
  const platforms = given.length > 0 ? [...distinct.values()] : [platform.other];
  return platforms.map((platform) => ({
    source: name,
    locations: [own, ...fallbacks],
    ...(digest && { digest }),
    ...(source.id && { imageId: source.id }),
    platform,
    platformIsGiven: given.length > 0,
    keepsIndex: source.index ?? false,
    wantsAll: (source.index ?? false) && given.length === 0,
    ...("referrers" in source && source.referrers && { referrers: source.referrers }),
    ...(tag !== undefined && { tag }),
    checksTag: digest !== undefined && isTagged && transportOf(own).byTag(own) !== undefined,
    isPinned: digest !== undefined || source.id !== undefined,
  }));
}

/**
 * What a source means: all that decides which image it is, and nothing of how it is reached.
 *
 * @param draft The source with its values read.
 * @returns Plain data to hash. Fallbacks count only where no pin decides what they may give.
 */
export function sourceMeaning(draft: SourceDraft): unknown {
  const { locations, digest, imageId, platform, keepsIndex, wantsAll } = draft;
  const isPinned = digest !== undefined || imageId !== undefined;
  return {
    kind: "source",
    locations: (isPinned ? locations.slice(0, 1) : locations)
      .map((location) => transportOf(location).meaning(location)),
    digest,
    imageId,
    platform,
    keepsIndex,
    ...(wantsAll && { wantsAll }),
  };
}
