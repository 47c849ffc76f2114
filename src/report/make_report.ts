import { join } from "@std/path";
import pLimit from "p-limit";
import * as v from "valibot";
import denoJson from "../../deno.json" with { type: "json" };
import { PolicyError } from "../errors/mod.ts";
import { drawnNodes } from "../graph/draw.ts";
import type { Graph, SourceNode } from "../graph/node.ts";
import { guard, list } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON, readJson } from "../lib/json.ts";
import { findImages } from "../maintain/choose_images.ts";
import type { StoredImage } from "../maintain/list_images.ts";
import { verifyAndRepair } from "../maintain/look_after.ts";
import { requireStore } from "../maintain/require_store.ts";
import type { OpenRun, Run } from "../run.ts";
import { acceptsStored } from "../sources/accepts.ts";
import { queryOf } from "../sources/image_item.ts";
import { subjectsOf } from "../sources/stored_images.ts";
import { isFrom } from "../store/candidates.ts";
import { blobPath, type DirImageData } from "../store/image.ts";
import { readLastRun } from "../store/last_run.ts";
import { type ImageManifest, layersOf } from "../store/manifest.ts";
import type { Origin } from "../store/origin.ts";
import { formatLocation } from "../transports/mod.ts";
import type { Report, ReportImage, ReportLayer, ReportOptions, ReportTrust } from "./report.ts";

/** How many images are read, and how many programs run, side by side. */
const READS = 4;

/**
 * Reports on the images that a store has for a config.
 *
 * @param graph The graph of the config.
 * @param path The store's folder.
 * @param options Which images, and whether they are verified.
 * @param open Opens a run.
 * @returns The report.
 * @throws {UsageError} If there is no store, or a name means no image, or several.
 * @throws {StoreBusyError} If gc has the store for longer than a run waits.
 * @throws {StoreError} If the store cannot be read.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function reportOn(
  graph: Graph,
  path: string,
  { names = [], verify = false }: ReportOptions,
  open: OpenRun,
): Promise<Report> {
  await requireStore(path);
  const sources = [...graph.nodes.values()].filter((node): node is SourceNode =>
    node.kind === "source"
  );
  // First, as what is found damaged is gone from its place.
  const verified = verify ? await verifyAndRepair(path, sources, { names }, open) : undefined;
  await using run = await open({ hold: "read" });
  const { store, epoch } = run;
  const all = await findImages(run, sources, []);
  const named = new Set((await findImages(run, sources, names)).map(({ id }) => id));
  const isMeant = (image: StoredImage) =>
    named.has(image.id) && (names.length > 0 || sources.length === 0 || image.names.length > 0);
  const chosen = all.filter(isMeant).sort((a, b) => placeOf(a, sources) - placeOf(b, sources));
  const limit = pLimit(READS);
  const read = await Promise.all(
    chosen.map((image) => limit(() => readImage(image, sources, run))),
  );
  const layers = layersIn(read);
  const found = new Set(all.flatMap(({ names }) => names));
  const lastRun = await readLastRun(store);
  return {
    schema: 1,
    generated: new Date(epoch ? epoch * 1000 : Date.now()).toISOString(),
    stowage: denoJson.version,
    store: store.path,
    nodes: drawnNodes(graph),
    images: read.map(({ image }) => image),
    absent: names.length > 0
      ? []
      : sources.map(({ name }) => name).filter((name) => !found.has(name)),
    others: all.length - chosen.length,
    layers,
    size: read.reduce((sum, { image, manifest }) => sum + image.size - sizeOfLayers(manifest), 0) +
      layers.reduce((sum, { size }) => sum + size, 0),
    ...(lastRun && { run: lastRun }),
    ...(verified && { verification: verified }),
  };
}

/** Where the config has the source that an image is of; what is of none comes last. */
function placeOf({ names }: StoredImage, sources: readonly SourceNode[]): number {
  const at = sources.findIndex((node) => names.some((name) => isOf(node, name)));
  return at < 0 ? sources.length : at;
}

/** A source that wants all platforms has images of other names as well. */
function isOf({ name, wantsAll }: SourceNode, imageName: string): boolean {
  return imageName === name || (wantsAll && imageName.startsWith(`${name}@`));
}

interface Read {
  readonly image: ReportImage;
  readonly manifest: ImageManifest | undefined;
}

async function readImage(
  stored: StoredImage,
  sources: readonly SourceNode[],
  run: Run,
): Promise<Read> {
  const { id, names, references, platform, complete, size, own } = stored;
  const { store } = run;
  const nodes = sources.filter((node) => names.some((name) => isOf(node, name)));
  const [data, origins] = await Promise.all([store.find(id), store.origins(id)]);
  const origin = nodes.map((node) => originFor(node, run.root, origins)).find(Boolean) ??
    origins.at(-1);
  const [node] = nodes;
  const reference = node ? formatLocation(node.locations[0]) : references.at(-1);
  const digest = origin?.digest ?? stored.digest;
  const created = data && await createdOf(data);
  const image: ReportImage = {
    id,
    ...(digest !== undefined && { digest }),
    ...(origin?.index !== undefined && { index: origin.index }),
    names,
    ...(reference !== undefined && { reference }),
    ...(platform !== undefined && { platform }),
    ...(origin?.from !== undefined && { from: origin.from }),
    ...(origin?.mirror !== undefined && { mirror: origin.mirror }),
    ...(origin && { fetched: origin.fetched }),
    ...(created !== undefined && { created }),
    complete,
    size,
    own,
    layers: data ? layersOf(data.manifest).map(({ digest }) => digest) : [],
    signatures: data ? await signaturesOf(data) : [],
    trust: data ? await Promise.all(nodes.map((node) => trustOf(node, data, origins, run))) : [],
  };
  return { image, manifest: data?.manifest };
}

function originFor(
  node: SourceNode,
  root: string,
  origins: readonly Origin[],
): Origin | undefined {
  const query = queryOf(node, root);
  return origins.findLast((origin) => isFrom(origin, query));
}

const CreatedSchema = v.object({ created: v.pipe(v.string(), v.isoTimestamp()) });

async function createdOf({ id, path }: DirImageData): Promise<string | undefined> {
  const blob = blobPath(path, id);
  const bytes = await guard("read", blob, () => readRegular(blob, MAX_JSON));
  const read = bytes && readJson(bytes);
  const config = read && "json" in read && v.safeParse(CreatedSchema, read.json);
  return config && config.success ? config.output.created : undefined;
}

/** As containers/image begins a file with a signature that is not one of GPG. */
const SIGSTORE = "\0sigstore-json\n";

async function signaturesOf({ path }: DirImageData): Promise<ReportImage["signatures"]> {
  return await guard("read", path, async () => {
    const names = (await list(path)).filter((name) => /^signature-\d+$/.test(name));
    return await Promise.all(names.map(async (name) => {
      const bytes = await readRegular(join(path, name), MAX_JSON) ?? new Uint8Array();
      const start = new TextDecoder().decode(bytes.subarray(0, SIGSTORE.length));
      return start === SIGSTORE ? "sigstore" : "gpg";
    }));
  });
}

async function trustOf(
  node: SourceNode,
  image: DirImageData,
  origins: readonly Origin[],
  run: Run,
): Promise<ReportTrust> {
  const source = node.name;
  const [first, ...others] = subjectsOf(node, origins, run.root);
  if (!first) return { source, accepted: false, asks: [], where: "" };
  try {
    for (const subject of [first, ...others]) {
      if (!await acceptsStored(node, subject, image, run)) continue;
      return { source, accepted: true, ...await run.trust.explain(subject) };
    }
    return { source, accepted: false, ...await run.trust.explain(first) };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const asked = await run.trust.explain(first);
    return { source, accepted: false, ...asked, problem: error.message };
  }
}

function layersIn(read: readonly Read[]): ReportLayer[] {
  const layers = new Map<string, { size: number; images: string[] }>();
  for (const { image, manifest } of read) {
    for (const { digest, size } of manifest ? layersOf(manifest) : []) {
      const layer = layers.get(digest) ?? { size, images: [] };
      layer.images.push(image.id);
      layers.set(digest, layer);
    }
  }
  return [...layers].map(([digest, layer]) => ({ digest, ...layer }));
}

function sizeOfLayers(manifest: ImageManifest | undefined): number {
  return manifest ? layersOf(manifest).reduce((sum, { size }) => sum + size, 0) : 0;
}
