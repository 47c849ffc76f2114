import { join } from "@std/path";
import {
  type CompressionOptions,
  formatReference,
  type ImageConfig,
  normalizePlatform,
  type OciArchiveStage,
  parsePlatform,
  parseReference,
} from "../../../config/mod.ts";
import { StageError, ToolError } from "../../errors/mod.ts";
import { Tap } from "../../lib/hash/tap.ts";
import { gzipInBlocks } from "../../tools/gzip.ts";
import { all, joint, mustRun } from "../../tools/process.ts";
import { writeTar } from "../../tools/tar.ts";
import { placeArchive } from "./archive_layout.ts";
import { type TreeContent, treesOf } from "./inputs_of.ts";
import { type LayerEdits, LayerRules } from "./layer_rules.ts";
import { LayoutWriter, type WrittenBlob } from "./layout_writer.ts";
import type { StageContext, StageRunner } from "../stage.ts";

/** What a manifest or an index says of a blob. */
interface Descriptor extends WrittenBlob {
  readonly mediaType: string;
}

/** A layer of the image. */
interface Layer extends Descriptor {
  /** Digest of the layer before it was compressed. */
  readonly diffId: string;
}

const MEDIA = "application/vnd.oci.image";
const SUFFIXES = { gzip: "+gzip", zstd: "+zstd", none: "" } as const;
/** As osbuild has it, so that an engine can run what is in a tree. */
const DEFAULT_CONFIG: ImageConfig = {
  Cmd: ["sh"],
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
};
const LEVELS = { gzip: 6, zstd: 3 } as const;

/**
 * Makes an image of trees, as the OCI image spec has it, and archives its layout: each input is a
 * layer. The same trees make the same archive, byte for byte, with the same gzip or zstd.
 */
export const ociArchive: StageRunner<"oci-archive"> = async (stage, context) => {
  const write = async (file: string) => {
    using layout = await LayoutWriter.create(file, context.epoch);
    const rules = new LayerRules(context.name, stage.whiteouts ?? false);
    const layers: Layer[] = [];
    const trees = treesOf(context);
    for (const [at, input] of trees.entries()) {
      const edits = rules.next(input.name, at === trees.length - 1);
      const layer = await writeLayer(input, edits, layout, stage, context);
      const { digest, size } = layer;
      context.log(`layer ${layers.length}: ${digest}, ${size} bytes, of "${input.name}"`);
      layers.push(layer);
    }
    await writeImage(layout, layers, stage, context);
  };
  await placeArchive(join(context.tree, stage.filename), write, context);
};

/** Makes a layer, from tree to archive in one go. */
async function writeLayer(
  { name: input, path: tree, patterns, attributes, hasRoot, date }: TreeContent,
  edits: LayerEdits,
  layout: LayoutWriter,
  { compression = "gzip", level }: CompressionOptions,
  { name, epoch, signal, notice }: StageContext,
): Promise<Layer> {
  const { onMember, keepsAttribute, onSocket } = edits;
  const edited = { onMember, keepsAttribute, onSocket, keepsRoot: hasRoot };
  const options = { epoch: date ?? epoch, patterns, attributes, signal, ...edited };
  const layer = await layout.stream(async (to) => {
    const blob = new Tap(to);
    if (compression === "none") {
      await writeTar(tree, blob.stream, options);
      const digest = blob.digest();
      return { diffId: digest, digest, size: blob.size };
    }
    const effort = level ?? LEVELS[compression];
    if (compression === "gzip") {
      const gzip = gzipInBlocks(blob.stream, { level: effort, signal });
      const plain = new Tap(gzip.stream);
      await writeTar(tree, plain.stream, options).finally(gzip.settled);
      return { diffId: plain.digest(), digest: blob.digest(), size: blob.size };
    }
    const pipe = joint();
    const plain = new Tap(pipe.writable);
    const args = ["--quiet", "--threads=0", `-${effort}`, "--stdout"];
    const streams = { stdin: pipe.readable, stdout: blob.stream };
    await all([
      writeTar(tree, plain.stream, options),
      mustRun(compression, args, { ...streams, signal, isBare: true }),
    ]);
    return { diffId: plain.digest(), digest: blob.digest(), size: blob.size };
  }).catch((error) => {
    if (!(error instanceof ToolError)) throw error;
    const { tool, exitCode, stderr } = error;
    throw new StageError(
      name,
      `${tool} exited with ${exitCode} at the layer of input "${input}"`,
      { log: stderr, cause: error },
    );
  });
  edits.leftOut().forEach(notice);
  return { mediaType: `${MEDIA}.layer.v1.tar${SUFFIXES[compression]}`, ...layer };
}

/** Writes what makes an image of layers. */
async function writeImage(
  layout: LayoutWriter,
  layers: readonly Layer[],
  stage: OciArchiveStage,
  context: StageContext,
): Promise<void> {
  const platform = stage.platform
    ? parsePlatform(stage.platform)
    : normalizePlatform(context.platform);
  const created = new Date(context.epoch * 1000).toISOString().replace(".000Z", "Z");
  const writeBlob = async (mediaType: string, content: unknown): Promise<Descriptor> => {
    const bytes = new TextEncoder().encode(JSON.stringify(content));
    return { mediaType, ...await layout.blob(bytes) };
  };
  const config = await writeBlob(`${MEDIA}.config.v1+json`, {
    created,
    ...platform,
    config: toConfig(stage.config ?? DEFAULT_CONFIG),
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created, created_by: "stowage oci-archive" })),
  });
  const manifest = await writeBlob(`${MEDIA}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config,
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    ...(stage.annotations && { annotations: sorted(stage.annotations) }),
  });
  const name = stage.name && formatReference(parseReference(stage.name));
  await layout.end({
    schemaVersion: 2,
    mediaType: `${MEDIA}.index.v1+json`,
    manifests: [{
      ...manifest,
      platform,
      // containerd and docker read the first of them, skopeo and podman the second.
      ...(name && {
        annotations: {
          "io.containerd.image.name": name,
          "org.opencontainers.image.ref.name": name,
        },
      }),
    }],
  });
  context.made({ ...(name && { name }), id: config.digest, digest: manifest.digest });
  context.log(`image ${config.digest}, manifest ${manifest.digest}`);
}

/** What are sets in Go are objects in JSON. */
function toConfig({ ExposedPorts, Volumes, Labels, ...rest }: ImageConfig): object {
  return sorted({
    ...rest,
    ...(ExposedPorts && { ExposedPorts: toSet(ExposedPorts) }),
    ...(Volumes && { Volumes: toSet(Volumes) }),
    ...(Labels && { Labels: sorted(Labels) }),
  });
}

function toSet(names: readonly string[]): object {
  return sorted(Object.fromEntries(names.map((name) => [name, {}])));
}

/** The order of keys must not tell archives apart. */
function sorted(object: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => a < b ? -1 : 1));
}
