import type { Run } from "../run.ts";
import { formatPlatform } from "../../config/mod.ts";
import type { StowageError } from "../errors/mod.ts";
import type { ImageResult } from "../events.ts";
import type { ArtifactNode, Node, SourceNode } from "../graph/node.ts";
import { type ImageItem, resultOf } from "../sources/image_item.ts";
import { artifactResult } from "../store/artifacts.ts";
import type { FoundArtifact } from "../sources/artifacts.ts";
import { tellUnpinned } from "../sources/pins.ts";
import { type PreparedImage, SkopeoSource } from "../sources/skopeo.ts";
import type { Found, Outcome } from "../sources/source.ts";
import { blobsOf, type ImageManifest, layersOf, sizeOfImage } from "../store/manifest.ts";
import type { Kept } from "./pipeline.ts";
import { planStages } from "./plan_stages.ts";

/** What a build would do with a source. */
export type PlannedSource =
  | {
    /** Name of the source. */
    readonly name: string;
    /** It is in the store. */
    readonly status: "cached";
    /** Image id. */
    readonly id: string;
    /** Digest of the manifest. */
    readonly digest: string;
    /** Size of manifest, config and layers, in bytes. */
    readonly size: number;
  }
  | {
    /** Name of the source. */
    readonly name: string;
    /** It has to be fetched. */
    readonly status: "fetch";
    /** The place that has it, as skopeo is told it. */
    readonly from: string;
    /** Digest of the manifest. */
    readonly digest: string;
    /** Image id, where the place tells it before the download. */
    readonly id?: string;
    /** Size of config and layers, in bytes, where the place tells it before the download. */
    readonly size?: number;
    /** Bytes to fetch: without layers that the store has, or that an image before it fetches. */
    readonly bytes?: number;
    /** How many layers it has. */
    readonly layers?: number;
    /** How many of them another image of the plan has as well. */
    readonly shared?: number;
  }
  | {
    /** Name of the source. */
    readonly name: string;
    /** It cannot be had. */
    readonly status: "failed";
    /** Why. */
    readonly error: StowageError;
  };

/** What a build would do with an artifact. */
export type PlannedArtifact =
  | {
    /** Name of the source. */
    readonly name: string;
    /** It is in the store. */
    readonly status: "cached";
    /** Digest of its manifest. */
    readonly digest: string;
    /** Size of manifest, config and layers, in bytes. */
    readonly size: number;
  }
  | {
    /** Name of the source. */
    readonly name: string;
    /** It has to be fetched. */
    readonly status: "fetch";
    /** The place that has it. */
    readonly from: string;
    /** Digest of its manifest. */
    readonly digest: string;
    /** Size of config and layers, in bytes: all of it is fetched. */
    readonly bytes: number;
  }
  | {
    /** Name of the source. */
    readonly name: string;
    /** It cannot be had. */
    readonly status: "failed";
    /** Why. */
    readonly error: StowageError;
  };

/** What a build would do with a stage. */
export interface PlannedStage {
  /** Name of the stage. */
  readonly name: string;
  /** Its type. */
  readonly type: string;
  /**
   * Whether its tree, or that of a stage which continues it, is in the store (`cached`) or in a cache
   * (`fetch`).
   */
  readonly status: "cached" | "fetch" | "run";
  /** The repository of the cache that has it. */
  readonly from?: string;
  /** Bytes to fetch, where it is this stage's tree that is fetched. */
  readonly bytes?: number;
}

/** What a build would do. */
export interface Plan {
  /** What it would do with each source. */
  readonly sources: readonly PlannedSource[];
  /** What it would do with each artifact; absent where no source is one. */
  readonly artifacts?: readonly PlannedArtifact[];
  /** What it would do with each stage, in order. */
  readonly stages: readonly PlannedStage[];
  /** Bytes to fetch, each layer once, as far as the places tell them before the download. */
  readonly bytes: number;
}

/** What was found out of a source. */
export type Looked = Outcome<ImageItem, Found<PreparedImage>>;

/**
 * Finds out what a build would do; nothing is downloaded but manifests and configs.
 *
 * @param nodes The nodes that it needs, in order.
 * @param kept Which trees are wanted in any case.
 * @param run The run.
 * @returns The plan.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function makePlan(nodes: readonly Node[], kept: Kept, run: Run): Promise<Plan> {
  const items = nodes.filter((node): node is SourceNode => node.kind === "source");
  tellUnpinned(items, run);
  const outcomes = await findStored(await new SkopeoSource(run).look(items), run);
  const manifests = new Map<string, ImageManifest>();
  for (const outcome of outcomes) {
    if ("error" in outcome) continue;
    const { item: { name }, value } = outcome;
    const manifest = "image" in value
      ? (await run.store.find(value.image.id))?.manifest
      : value.prepared.found.manifest;
    if (manifest) manifests.set(name, manifest);
  }
  const uses = countUses([...manifests.values()]);
  const missing = await findMissing([...manifests.values()], run);
  const sources = outcomes.map((outcome): PlannedSource => {
    const { name } = outcome.item;
    if ("error" in outcome) return { name, status: "failed", error: outcome.error };
    if ("image" in outcome.value) {
      const { id, digest, size } = outcome.value.image;
      return { name, status: "cached", id, digest, size };
    }
    const { place, digest } = outcome.value.prepared.found;
    const manifest = manifests.get(name);
    return {
      name,
      status: "fetch",
      from: place.label,
      digest,
      ...(manifest && {
        id: manifest.config.digest,
        size: sizeOfImage(manifest),
        bytes: manifest.config.size + take(missing, manifest),
        layers: manifest.layers.length,
        shared: manifest.layers.filter(({ digest }) => (uses.get(digest) ?? 0) > 1).length,
      }),
    };
  });
  const found = await lookAtArtifacts(nodes.filter((node) => node.kind === "artifact"), run);
  const artifacts = found.map(planArtifact);
  const here = found.flatMap(({ item, ...outcome }) =>
    "value" in outcome && "stored" in outcome.value
      ? [artifactResult(item, outcome.value.stored)]
      : []
  );
  const stages = await planStages(nodes, imagesOf(outcomes), here, kept, run);
  return {
    sources,
    ...(artifacts.length > 0 && { artifacts }),
    stages,
    bytes: [...sources, ...artifacts, ...stages].reduce(
      (sum, each) => sum + (each.status === "fetch" ? each.bytes ?? 0 : 0),
      0,
    ),
  };
}

type LookedArtifact = Outcome<ArtifactNode, FoundArtifact>;

async function lookAtArtifacts(
  nodes: readonly ArtifactNode[],
  run: Run,
): Promise<LookedArtifact[]> {
  if (nodes.length === 0) return [];
  const { ArtifactDownloads, tellUnpinnedArtifacts } = await import("../sources/artifacts.ts");
  tellUnpinnedArtifacts(nodes, run);
  return await new ArtifactDownloads(run).look(nodes);
}

function planArtifact(outcome: LookedArtifact): PlannedArtifact {
  const { name } = outcome.item;
  if ("error" in outcome) return { name, status: "failed", error: outcome.error };
  if ("stored" in outcome.value) {
    const { digest, size } = outcome.value.stored;
    return { name, status: "cached", digest, size };
  }
  const { place, digest, size: bytes } = outcome.value.found;
  return { name, status: "fetch", from: place.label, digest, bytes };
}

/**
 * Finds images that a tag stands for and that are in the store: they are not fetched again.
 *
 * @param outcomes What was found out of the sources.
 * @param run The run.
 * @returns The same, with what is in the store.
 */
export async function findStored(outcomes: readonly Looked[], { store }: Run): Promise<Looked[]> {
  return await Promise.all(outcomes.map(async (outcome): Promise<Looked> => {
    if ("error" in outcome || "image" in outcome.value) return outcome;
    const { item, value: { prepared: { found: { digest, manifest } } } } = outcome;
    const image = manifest && await store.find(manifest.config.digest);
    if (!image) return outcome;
    const result = resultOf(item, image, item.platform);
    return { item, value: { image: { ...result, status: "cached", digest } } };
  }));
}

/**
 * What inputs need to know of images, also of those that are not in the store yet.
 *
 * @param outcomes What was found out of the sources.
 * @returns The images, by key of their sources.
 */
export function imagesOf(
  outcomes: readonly Looked[],
): Map<string, ImageResult> {
  const images = new Map<string, ImageResult>();
  for (const outcome of outcomes) {
    if ("error" in outcome) continue;
    const { item: { key, name, platform, keepsIndex }, value } = outcome;
    if ("image" in value) {
      images.set(key, value.image);
      continue;
    }
    const { digest, manifest, index } = value.prepared.found;
    if (!manifest) continue;
    images.set(key, {
      key,
      name,
      status: "fetched",
      id: manifest.config.digest,
      digest,
      manifest: digest,
      platform: formatPlatform(platform),
      path: "",
      size: sizeOfImage(manifest),
      ...(keepsIndex && index && { index: { digest: index.digest, path: "" } }),
    });
  }
  return images;
}

/** The layers that the store does not have, with their sizes. */
async function findMissing(
  manifests: readonly ImageManifest[],
  { store }: Run,
): Promise<Map<string, number>> {
  const layers = new Map(manifests.flatMap(layersOf).map((layer) => [layer.digest, layer.size]));
  const missing = await Promise.all(
    [...layers].map(async ([digest, size]) =>
      await store.blobs.has({ digest, size }) ? [] : [[digest, size] as const]
    ),
  );
  return new Map(missing.flat());
}

/** Each layer is fetched for the first image that has it. */
function take(missing: Map<string, number>, manifest: ImageManifest): number {
  return layersOf(manifest).reduce((sum, { digest }) => {
    const size = missing.get(digest) ?? 0;
    missing.delete(digest);
    return sum + size;
  }, 0);
}

function countUses(manifests: readonly ImageManifest[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const manifest of manifests) {
    for (const digest of blobsOf(manifest).keys()) uses.set(digest, (uses.get(digest) ?? 0) + 1);
  }
  return uses;
}
