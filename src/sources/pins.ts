import { LockError } from "../errors/mod.ts";
import type { NoticeEvent } from "../events.ts";
import type { Run } from "../run.ts";
import type { ImageItem } from "./image_item.ts";

/** What a run does about items that are not pinned. */
type Pinning = Pick<Run, "digests" | "offline" | "emit">;

/**
 * Tells which of the items are not pinned, in one notice, if the config's `digests` says so.
 *
 * @param items All items of the run.
 * @param run The run.
 */
export function tellUnpinned(items: readonly ImageItem[], run: Pinning): void {
  // Without a registry, folders and archives are read all the same.
  const unpinned = items.filter((item) =>
    isUnpinned(item) && (!run.offline || "reference" in item.locations[0])
  );
  const isTold = run.offline ? run.digests !== "require" : run.digests === "warn";
  if (unpinned.length === 0 || !isTold) return;
  const keys = unpinned.map(({ key }) => key);
  run.emit({ type: "notice", ...noticeOf(unpinned, run), keys });
}

/**
 * Refuses an item that is not pinned, if the config's `digests` says so.
 *
 * @param item The item.
 * @param digest The digest that would pin it.
 * @param run The run.
 * @throws {LockError} If it has to be pinned, and is not.
 */
export function requirePin(item: ImageItem, digest: string, run: Pinning): void {
  if (!isUnpinned(item) || run.digests !== "require") return;
  const why = item.unlocked === undefined ? "" : ` (${item.unlocked})`;
  throw new LockError("LOCK_MISSING", `Cannot accept "${item.name}": it is not pinned${why}`, [], {
    hint: `add digest: "${digest}" to sources.${item.source}, or run \`stowage lock\``,
  });
}

function isUnpinned({ digest, imageId }: ImageItem): boolean {
  return digest === undefined && imageId === undefined;
}

function noticeOf(
  items: readonly ImageItem[],
  { offline }: Pinning,
): Pick<NoticeEvent, "code" | "message"> {
  const [first = "", ...others] = new Set(items.map(({ source }) => source));
  const isOne = others.length === 0;
  const what = isOne ? `"${first}" is not pinned` : `${others.length + 1} sources are not pinned`;
  if (offline) {
    const image = `${isOne ? "it" : "each"} is the image that was fetched for it last`;
    return { code: "UNPINNED_OFFLINE", message: `${what}, and no registry is asked: ${image}` };
  }
  const reasons = new Set(items.map(({ unlocked }) => unlocked ?? "").filter(Boolean));
  const [reason = ""] = reasons;
  const why = reasons.size === 1 ? ` (${reason})` : "";
  const more = reasons.size > 1 ? "; `stowage lock --check` says why" : "";
  return { code: "UNPINNED", message: `${what}${why}: run \`stowage lock\`${more}` };
}
