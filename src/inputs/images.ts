import { parsePlatform } from "../../config/mod.ts";
import type { ImageResult } from "../events.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { ResolvedInput } from "../stage_input.ts";

/** An image of the input: what its source has put into the store, and what it is called. */
export interface NamedResult {
  /** What the source has put into the store. */
  readonly image: ImageResult;
  /** What it is called where it is installed. */
  readonly names: readonly string[];
}

/**
 * Gives images of sources to a stage, after osbuild's `org.osbuild.containers` input.
 *
 * @param name Name of the input.
 * @param images The images.
 * @returns The input; its id is that of the images and their names, whatever their sources are.
 */
export function resolveImages(name: string, images: readonly NamedResult[]): ResolvedInput {
  return {
    id: hashOf({
      kind: "images",
      images: images.map((
        { image: { id, manifest, index }, names },
      ) => [id, manifest, index?.digest, names]),
    }),
    input: {
      name,
      kind: "images",
      images: images.map(({ image, names }) => ({
        format: "dir",
        path: image.path,
        id: image.id,
        digest: image.manifest,
        names,
        platform: parsePlatform(image.platform),
        ...(image.index && { index: image.index.path }),
      })),
    },
  };
}
