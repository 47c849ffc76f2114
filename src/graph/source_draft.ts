import {
  type Fallback,
  formatReference,
  parsePlatform,
  parseReference,
  parseStorageLocation,
  type Reference,
  type Source,
} from "../../config/mod.ts";
import type { ConfigIssue } from "../errors.ts";
import type { Location, SourceNode } from "./node.ts";

/** A source with every value read, before it is a node. */
export type SourceDraft = Pick<
  SourceNode,
  "locations" | "digest" | "imageId" | "platform" | "platformIsGiven"
>;

/**
 * Reads the values of a source whose shape is right.
 *
 * @param name Its name.
 * @param source The source.
 * @param platform The config's platform, and the one to use where nothing names one.
 * @param issues Takes what is wrong.
 * @returns The source with its values read.
 */
export function draftSource(
  name: string,
  source: Source,
  platform: { readonly given: string | undefined; readonly other: string },
  issues: ConfigIssue[],
): SourceDraft {
  const location = readLocation(source, undefined);
  const reference = "reference" in location ? location.reference : undefined;
  const fallbacks = (source.fallback ?? []).map((fallback, index) => {
    if (fallback.type === "containers-storage" && !fallback.reference && !reference) {
      issues.push({
        path: `sources.${name}.fallback.${index}.reference`,
        expected: `a reference, as sources.${name} has none`,
      });
    }
    return readLocation(fallback, reference);
  });
  const digest = source.digest ?? reference?.digest;
  if (reference?.digest && digest !== reference.digest) {
    issues.push({
      path: `sources.${name}.digest`,
      value: source.digest,
      expected: `the digest of its reference, "${reference.digest}"`,
    });
  }
  const given = source.platform ?? platform.given;
  return {
    locations: [location, ...fallbacks],
    ...(digest && { digest }),
    ...(source.id && { imageId: source.id }),
    platform: parsePlatform(given ?? platform.other),
    platformIsGiven: given !== undefined,
  };
}

const NOWHERE: Reference = { domain: "", path: "" };

function readLocation(image: Source | Fallback, reference: Reference | undefined): Location {
  switch (image.type) {
    case "docker":
      return {
        transport: image.type,
        reference: parseReference(image.reference),
        tlsVerify: image.tlsVerify ?? true,
        ...(image.authFile && { authFile: image.authFile }),
      };
    case "containers-storage": {
      const { driver } = image;
      return {
        transport: image.type,
        reference: image.reference ? parseReference(image.reference) : reference ?? NOWHERE,
        storage: {
          ...(image.location && parseStorageLocation(image.location)),
          ...(driver && { driver }),
        },
      };
    }
    case "dir":
      return { transport: image.type, path: image.path };
    default:
      return {
        transport: image.type,
        path: image.path,
        ...(image.image && { image: image.image }),
      };
  }
}

/**
 * What a source means: all that decides which image it is, and nothing of how it is reached.
 *
 * @param draft The source with its values read.
 * @returns Plain data to hash. Fallbacks count only where no pin decides what they may give.
 */
export function sourceMeaning(draft: SourceDraft): unknown {
  const { locations, digest, imageId, platform } = draft;
  const isPinned = digest !== undefined || imageId !== undefined;
  return {
    kind: "source",
    locations: (isPinned ? locations.slice(0, 1) : locations).map(locationMeaning),
    digest,
    imageId,
    platform,
  };
}

function locationMeaning(location: Location): unknown {
  switch (location.transport) {
    case "docker":
      return [location.transport, formatReference(location.reference)];
    case "containers-storage":
      return [location.transport, formatReference(location.reference), location.storage];
    default:
      return [location.transport, location.path, location.image];
  }
}
