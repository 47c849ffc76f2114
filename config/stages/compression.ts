import * as v from "valibot";
import { described } from "../schema_parts.ts";

/** How an archive is compressed. */
export interface CompressionOptions {
  /** Compressor; each stage has a default of its own. */
  readonly compression?: "gzip" | "zstd" | "none";
  /** Level of the compressor, from 1 to 9 for gzip, to 19 for zstd. */
  readonly level?: number;
}

const LEVEL = "a whole number from 1 to 19";

/** How an archive is compressed, as entries of a stage's schema. */
export const compressionEntries = {
  compression: v.exactOptional(
    described(
      v.picklist(["gzip", "zstd", "none"]),
      "Compressor; each stage has a default of its own",
    ),
  ),
  level: v.exactOptional(described(
    v.pipe(v.number(), v.integer(LEVEL), v.minValue(1, LEVEL), v.maxValue(19, LEVEL)),
    "Level of the compressor, from 1 to 9 for gzip, to 19 for zstd",
  )),
};

/**
 * Tells whether a level is one of its compressor.
 *
 * @param usual The compressor of a stage that names none.
 * @returns The check of a stage.
 */
export function levelFits(
  usual: "gzip" | "zstd",
): (stage: { readonly compression?: string; readonly level?: number }) => boolean {
  return ({ compression = usual, level = 1 }) => compression !== "gzip" || level <= 9;
}

/** What is expected where it does not fit. */
export const UP_TO_9 = "a level from 1 to 9, as gzip has no other";
