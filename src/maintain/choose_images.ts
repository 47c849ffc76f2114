import { UsageError } from "../errors/mod.ts";
import { nearest } from "../graph/nearest.ts";
import { isOf } from "../graph/select.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { listImages, type StoredImage } from "./list_images.ts";

/**
 * Finds images in a store.
 *
 * @param run The store, and the folder that relative paths start from.
 * @param nodes The sources of the config.
 * @param names Names of sources, and ids or how they start, as podman takes them; all if empty.
 * @returns The images, by id.
 * @throws {UsageError} If a name means no image, or an id several.
 * @throws {StoreError} If the store cannot be read.
 */
export async function findImages(
  run: Pick<Run, "store" | "root">,
  nodes: readonly SourceNode[],
  names: readonly string[],
): Promise<StoredImage[]> {
  const images = await listImages(run, nodes);
  if (names.length === 0) return images;
  const chosen = new Set(names.flatMap((name) => chooseOne(images, nodes, name)));
  return images.filter((image) => chosen.has(image));
}

function chooseOne(
  images: readonly StoredImage[],
  nodes: readonly SourceNode[],
  name: string,
): StoredImage[] {
  const named = images.filter(({ names }) =>
    names.some((each) =>
      each === name || /^[:@]/.test(each.slice(name.length)) && each.startsWith(name)
    )
  );
  if (named.length > 0) return named;
  const meant = nodes.find((node) =>
    isOf(node, name) ||
    (node.wantsAll && name.startsWith(`${node.source}@`))
  );
  if (meant) {
    throw new UsageError(`Cannot find "${name}": the store has no image of it`, {
      hint: `run \`stowage fetch ${meant.wantsAll ? meant.source : name}\``,
    });
  }
  const start = name.replace(/^sha256:/, "").toLowerCase();
  const found = /^[0-9a-f]+$/.test(start)
    ? images.filter(({ id }) => id.startsWith(`sha256:${start}`))
    : [];
  if (found.length === 1) return found;
  if (found.length > 1) {
    throw new UsageError(`Cannot choose "${name}": ${found.length} images have such an id`, {
      hint: `ids: ${found.map(({ id }) => id).join(", ")}`,
    });
  }
  const sources = [...new Set(nodes.map(({ family, source }) => family ?? source))];
  const near = nearest(name, sources);
  throw new UsageError(`Cannot find "${name}": expected a source, or the id of a stored image`, {
    hint: near !== undefined ? `did you mean "${near}"?` : "see what `stowage ls` says",
  });
}
