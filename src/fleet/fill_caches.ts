import pLimit from "p-limit";
import type { Cache, Reference } from "../../config/mod.ts";
import { type CarriedManifest, readCargo } from "../carry/cargo.ts";
import { Meter } from "../carry/meter.ts";
import type { Sender } from "../carry/sender.ts";
import { InterruptedError, RunError } from "../errors/mod.ts";
import type { ImageResult } from "../events.ts";
import type { Run } from "../run.ts";
import { idTag, nameIn } from "../sources/caches.ts";
import { senderTo } from "./sender_to.ts";
import { noteUse, recordUses } from "./uses.ts";

/**
 * Does something, then writes what it has had to the caches that are written to, and what it has used
 * of them: also where some of it failed. A cache that fails is left out, and that is told once.
 *
 * @param run The run.
 * @param action Fetches images.
 * @returns What the action returns.
 * @throws {InterruptedError} If the run was interrupted; no tag in a cache stands for half an image.
 */
export async function fillCaches<Result extends WithImages>(
  run: Run,
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await action();
    await fillFrom(result.images, run);
    await recordUses(run);
    return result;
  } catch (error) {
    if (error instanceof RunError && hasImages(error)) {
      await fillFrom(error.result.images, run);
      await recordUses(run);
    }
    throw error;
  }
}

interface WithImages {
  readonly images: readonly ImageResult[];
}

function hasImages(
  error: RunError,
): error is RunError<WithImages> {
  const { result } = error;
  return typeof result === "object" && result !== null && "images" in result;
}

/**
 * Writes images to the caches that are written to.
 *
 * @param images The images.
 * @param run The run.
 * @param senders What writes to each cache; a run that does this again and again keeps them.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function fillFrom(
  images: readonly ImageResult[],
  run: Run,
  senders: Map<Cache, Sender> = new Map(),
): Promise<void> {
  for (const cache of run.caches) {
    if (cache.mode !== "write" || run.leftCaches.has(cache, "write")) continue;
    const total = images.reduce((sum, { size }) => sum + size, 0);
    const sender = senders.get(cache) ?? senderTo(cache, run, new Meter(run.emit, total));
    senders.set(cache, sender);
    await fill(cache, images, run, sender);
  }
}

async function fill(
  cache: Cache,
  images: readonly ImageResult[],
  run: Run,
  sender: Sender,
): Promise<void> {
  const repository = nameIn(cache);
  const limit = pLimit(run.jobs);
  let failure: { readonly error: unknown } | undefined;
  await Promise.all(images.map((image) =>
    limit(async () => {
      // Who has begun ends, so that nothing is written behind the run's back.
      if (failure || run.signal.aborted) return;
      try {
        for (const tag of await keep(image, repository, sender)) noteUse(cache, tag, run);
      } catch (error) {
        failure ??= { error };
      }
    })
  ));
  if (run.signal.aborted) throw new InterruptedError(run.signal.reason);
  if (failure && !run.leftCaches.passOver(cache, failure.error, "write")) throw failure.error;
}

/** Blobs go before manifests, images before their index. Tags keep them where registries clean up. */
async function keep(
  image: ImageResult,
  repository: Reference,
  sender: Sender,
): Promise<readonly string[]> {
  const { top, images, absent, ...item } = await readCargo(image.name, [image]);
  const to = { item, target: repository };
  const isWhole = absent.length === 0;
  const tagged: readonly (readonly [CarriedManifest, string])[] = [
    ...images.map((image) => [image, idTag(image.id)] as const),
    // Registries take no index without all of its images.
    ...(isWhole && !images.some(({ digest }) => digest === top.digest)
      ? [[top, digestTag(top.digest)] as const]
      : []),
  ];
  for (const [manifest, tag] of tagged) {
    if (await sender.find(to, tag) === manifest.digest) continue;
    const blobs = images.find(({ digest }) => digest === manifest.digest)?.blobs ?? [];
    await Promise.all(blobs.map((blob) => sender.sendBlob(to, blob)));
    await sender.putManifest(to, manifest, tag);
  }
  return tagged.map(([, tag]) => tag);
}

/**
 * The tag by which a cache has an index, which has no id.
 *
 * @param digest Its digest.
 * @returns The tag.
 */
export function digestTag(digest: string): string {
  return `index-${digest.slice(digest.indexOf(":") + 1)}`;
}
