import type { Platform } from "../../config/mod.ts";
import { ContentError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import { Absence } from "../transports/absence.ts";
import type { PlaceImage } from "../transports/mod.ts";

/** What an image must be. */
export interface Wanted extends ItemName {
  /** Name of its source in the config. */
  readonly source: string;
  /** Digest of the manifest or the index. */
  readonly digest?: string;
  /** Whether the lock says the digest, and the config does not. */
  readonly digestIsLocked?: boolean;
  /** Image id. */
  readonly imageId?: string;
  /** Its platform. */
  readonly platform: Platform;
  /** Whether the config names the platform, so that another is wrong. */
  readonly platformIsGiven: boolean;
  /** Digest of the entry of the index that is meant; its platform says it, if absent. */
  readonly entry?: string;
  /** Whether the index that the image is chosen from is kept too. */
  readonly keepsIndex: boolean;
  /** Whether the images of all platforms of that index are kept too. */
  readonly wantsAll: boolean;
}

/** What to do about what can be read, and is no image. */
export const ODD_HINT =
  "look at it with `skopeo inspect --raw`, or at its config with `skopeo inspect --config --raw`, and " +
  "tell who serves it; another tag may be whole";

/** What to do where a place names something itself, and does not have it. */
export const LACKING_HINT =
  "what names it is there, and it is not: it was deleted, is still being pushed, or a cache before " +
  "the registry is behind; try again later, or tell who runs it";

/**
 * Says that it is not for who asks that something is not found: the place itself has named it.
 *
 * @param absence Why the place does not give it.
 * @returns The same, with what to do next.
 */
export function lacking(absence: Absence): Absence {
  const { reason, message, isTransient, isOfManifest, hint = LACKING_HINT } = absence;
  return reason === "unknown"
    ? new Absence(reason, message, { isTransient, isOfManifest, hint })
    : absence;
}

/** Reads the bytes that a place serves. */
export interface Reader {
  /** Reads a manifest or an index. */
  manifest(image: PlaceImage): Promise<Uint8Array>;
  /** Reads the config that an image's manifest names. */
  config(image: PlaceImage, id: string): Promise<Uint8Array>;
}

/**
 * The error of a digest that differs.
 *
 * @param wanted What was wanted.
 * @param what What differs, to follow the name of the item.
 * @param expected The digest that was wanted.
 * @param actual The digest that was found.
 * @returns The error.
 */
export function mismatch(
  { name, source }: Pick<Wanted, "name" | "source">,
  what: string,
  expected: string,
  actual: string,
): ContentError {
  return new ContentError(name, `${what} is ${actual}, and ${expected} was asked for`, {
    expected,
    actual,
    hint: `if the new one is right, put it into sources.${source}, or run ` +
      `\`stowage lock --update ${source}\`; if not, ask who serves it`,
  });
}
