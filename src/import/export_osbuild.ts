import { formatPlatform, formatReference } from "../../config/mod.ts";
import type { LeftOut } from "../errors/mod.ts";
import type { Lock } from "../graph/lock_schema.ts";
import type { Graph, InputNode, SourceNode } from "../graph/node.ts";
import { inputKind } from "../inputs/mod.ts";
import { formatLocation } from "../transports/mod.ts";

/** What stands in a manifest of osbuild, by the names that osbuild has for it. */
export interface OsbuildPart {
  /** `sources` of a manifest: all images of the config, and their indexes. */
  readonly sources: Readonly<Record<string, { readonly items: Readonly<Record<string, unknown>> }>>;
  /** `inputs` of a stage `org.osbuild.skopeo`, for each input of images, by its name. */
  readonly inputs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What osbuild has no words for. */
  readonly left: readonly LeftOut[];
}

/** How osbuild says where an image is; it finds images of registries and storages only. */
type Place = (location: SourceNode["locations"][0]) => object | undefined;

const PLACES: Readonly<Record<string, Place>> = {
  "docker": (location) =>
    "reference" in location && "tlsVerify" in location
      ? { name: nameOf(location.reference), ...(!location.tlsVerify && { "tls-verify": false }) }
      : undefined,
  "containers-storage": (location) =>
    "reference" in location && "storage" in location
      ? {
        name: nameOf(location.reference),
        "containers-transport": "containers-storage",
        ...(location.storage.root && { "storage-location": location.storage.root }),
      }
      : undefined,
};

/** osbuild puts the digest behind it, which skopeo refuses to take beside a tag. */
function nameOf({ domain, path }: { readonly domain: string; readonly path: string }): string {
  return formatReference({ domain, path });
}

/**
 * Says the images of a config in the words of osbuild, so that it can build from the same store.
 *
 * @param graph The config, compiled with its lock.
 * @param lock The lock.
 * @returns Sources and inputs of a manifest, and what osbuild has no words for.
 */
export function exportOsbuild({ nodes }: Graph, lock: Lock | undefined): OsbuildPart {
  const left: LeftOut[] = [];
  const images: Record<string, { readonly image: { readonly digest: string } }> = {};
  const indexes: Record<string, unknown> = {};
  const known = new Map<string, { readonly id: string; readonly index?: string }>();
  for (const node of nodes.values()) {
    if (node.kind !== "source") continue;
    const [location] = node.locations;
    const what = formatLocation(location);
    const leave = (why: string) => left.push({ path: `sources.${node.name}`, what, why });
    const entry = lock?.sources[node.source]?.platforms[formatPlatform(node.platform)];
    const { imageId: id } = node;
    const digest = entry?.id === id && entry
      ? entry.digest
      : node.keepsIndex
      ? undefined
      : node.digest;
    if (id === undefined || digest === undefined) {
      leave("nothing says both its digest and its id: run `stowage lock`");
      continue;
    }
    const place = PLACES[location.transport]?.(location);
    if (!place) {
      leave("osbuild fetches from registries and storages only");
      continue;
    }
    const other = images[id]?.image.digest;
    if (other !== undefined && other !== digest) {
      leave(`osbuild has an image once, and this one with the manifest ${other} already`);
      continue;
    }
    images[id] ??= { image: { ...place, digest } };
    const index = node.keepsIndex ? node.lockedIndex ?? node.digest : undefined;
    if (index !== undefined) indexes[index] = { image: place };
    known.set(node.key, { id, ...(index !== undefined && { index }) });
  }
  const inputs: Record<string, Record<string, unknown>> = {};
  const hosted: Record<string, object> = {};
  for (const node of nodes.values()) {
    if (node.kind !== "input" || node.images.length === 0) continue;
    const host = inputKind(node.input).hostImage?.(node.input);
    if (host?.location !== undefined) {
      const why = "osbuild reads the machine's own storage only";
      left.push({ path: `inputs.${node.name}`, what: host.id, why });
      continue;
    }
    if (host) {
      hosted[host.id] = {};
      known.set(host.id, { id: host.id });
    }
    inputs[node.name] = inputOf(node, host ? HOST : CONTAINERS, known, left);
  }
  return {
    sources: {
      ...(Object.keys(images).length > 0 && { "org.osbuild.skopeo": { items: images } }),
      ...(Object.keys(hosted).length > 0 && { [HOST]: { items: hosted } }),
      ...(Object.keys(indexes).length > 0 && { "org.osbuild.skopeo-index": { items: indexes } }),
    },
    inputs,
    left,
  };
}

const CONTAINERS = "org.osbuild.containers";
/** Both the source and the input of images that are read where they are. */
const HOST = "org.osbuild.containers-storage";

function inputOf(
  { name, images }: InputNode,
  type: string,
  known: ReadonlyMap<string, { readonly id: string; readonly index?: string }>,
  left: LeftOut[],
): Record<string, unknown> {
  const references: Record<string, { readonly name: string }> = {};
  const lists: string[] = [];
  for (const { source, names: [first = "", ...more] } of images) {
    const image = known.get(source);
    const leave = (why: string) => left.push({ path: `inputs.${name}`, what: source, why });
    if (!image) {
      leave("it is none of the images that are exported");
      continue;
    }
    const names = references[image.id] === undefined ? more : [first, ...more];
    references[image.id] ??= { name: first };
    if (names.length > 0) leave(`osbuild gives an image one name, and so not ${names.join(", ")}`);
    if (image.index !== undefined && !lists.includes(image.index)) lists.push(image.index);
  }
  const origin = "org.osbuild.source";
  return {
    images: { type, origin, references },
    ...(lists.length > 0 &&
      { "manifest-lists": { type: "org.osbuild.files", origin, references: lists } }),
  };
}
