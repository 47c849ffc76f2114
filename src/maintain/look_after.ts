import type { Listener } from "../events.ts";
import type { SourceNode } from "../graph/node.ts";
import type { OpenRun } from "../run.ts";
import { findImages } from "./choose_images.ts";
import { repairStore } from "./repair.ts";
import { requireStore } from "./require_store.ts";
import { type VerifyResult, verifyStore } from "./verify.ts";

/** What looks after a store takes. */
export interface StoreOptions {
  /** Names of sources, and ids of images or how they start; all of the store if absent. */
  readonly names?: readonly string[];
  /** Takes events while it goes on. */
  readonly onEvent?: Listener;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What `verify` takes. */
export interface VerifyOptions extends StoreOptions {
  /** Whether what is found is repaired, where that can be. */
  readonly repair?: boolean;
}

/**
 * Verifies a store, and repairs what is found if that is asked for.
 *
 * @param store The store's folder.
 * @param sources The sources of the config.
 * @param options Which images, and whether they are repaired.
 * @param open Opens a run.
 * @returns What was found, and what became of it.
 * @throws {UsageError} If there is no store, or a name means no image, or several.
 * @throws {StoreBusyError} If gc has the store for longer than a run waits.
 * @throws {StoreError} If the store cannot be read.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function verifyAndRepair(
  store: string,
  sources: readonly SourceNode[],
  { names = [], repair = false }: VerifyOptions,
  open: OpenRun,
): Promise<VerifyResult> {
  await requireStore(store);
  await using run = await open({ hold: "inspect" });
  const images = names.length > 0 ? await findImages(run, sources, names) : undefined;
  run.emit({ type: "start", action: "verify", sources: [], keys: [], store });
  const ids = images && { ids: new Set(images.map(({ id }) => id)) };
  const result = await verifyStore({ ...run, ...ids });
  if (!repair) return result;
  // What the first run knows of the pool may have been put aside.
  await using afresh = await open({ hold: "inspect" });
  const repaired = await repairStore(result.findings, sources, { ...afresh, digests: "ignore" });
  return { ...result, ...repaired };
}
