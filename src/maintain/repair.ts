import { join } from "@std/path";
import type { Run } from "../run.ts";
import { InterruptedError, StoreError, type StowageError } from "../errors/mod.ts";
import type { Emit } from "../events.ts";
import type { Finding, LeftFinding, RepairedFinding } from "../finding.ts";
import type { SourceNode } from "../graph/node.ts";
import type { ImageItem } from "../sources/image_item.ts";
import { SkopeoSource } from "../sources/skopeo.ts";
import type { LayerName, PooledLayer } from "../store/blobs.ts";
import { digestFile } from "../tools/hash/digest_file.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { digestOf, isLost, sizeOf } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { openRegular, readChunks } from "../lib/fs/regular_file.ts";
import { see } from "../store/check.ts";
import { blobPath } from "../store/image.ts";
import { MAX_JSON } from "../lib/json.ts";
import { layersOf, readManifest } from "../store/manifest.ts";
import { readOriginRecord } from "../store/origin.ts";
import { refuseLinks } from "../store/own_folders.ts";
import { putAside } from "../store/quarantine.ts";
import { CONTAINERS } from "../store/store.ts";
import { type LostImage, RepairItems } from "./repair_items.ts";
import { whyLeft } from "./repair_reason.ts";

/** What a repair has come to. */
export interface RepairResult {
  /** What is what it has to be again. */
  readonly repaired: readonly RepairedFinding[];
  /** What is not, each with why. */
  readonly left: readonly LeftFinding[];
}

/**
 * Puts back what a verification has put aside, or found missing: from what the store has, or else
 * from where it came.
 *
 * @param findings What was found.
 * @param sources The sources of the config.
 * @param run What the run gives. Its store must not have looked at the pool before.
 * @returns What became of each.
 * @throws {InterruptedError} If the run was interrupted; what is repaired by then stays.
 */
export async function repairStore(
  findings: readonly Finding[],
  sources: readonly SourceNode[],
  run: Run,
): Promise<RepairResult> {
  try {
    return await new Repair(sources, run).repair(findings);
  } catch (error) {
    if (run.signal.aborted) throw new InterruptedError(run.signal.reason);
    throw error;
  }
}

class Repair {
  readonly #items: RepairItems;
  readonly #digests: DigestPool;
  /** Why an image is not whole; the first place that was asked says it. */
  readonly #errors = new Map<string, StowageError>();
  /** Where images and indexes came from, by id or digest. */
  readonly #from = new Map<string, string>();

  constructor(sources: readonly SourceNode[], private readonly run: Run) {
    this.#items = new RepairItems(sources, run);
    this.#digests = run.scratch.use(new DigestPool(run.signal, 1));
  }

  async repair(seen: readonly Finding[]): Promise<RepairResult> {
    const closed = seen.length > 0 ? await this.#findClosed() : undefined;
    const findings = closed ? seen : await Promise.all(seen.map((one) => this.#putLostAside(one)));
    if (!closed) {
      const hurt = findings.filter((finding) => whyLeft(finding) === undefined);
      await this.#mendImages(hurt);
      await this.#mendPool(hurt);
      for (const { kind, digest } of hurt) {
        if (kind === "index" && digest) await this.#mendIndex(digest);
      }
    }
    const repaired: RepairedFinding[] = [];
    const left: LeftFinding[] = [];
    for (const finding of findings) {
      const reason = closed?.message ?? whyLeft(finding) ?? await this.#findReason(finding);
      if (reason === undefined) {
        const from = this.#fromOf(finding);
        repaired.push({ ...finding, ...(from !== undefined && { from }) });
      } else left.push({ ...finding, reason });
    }
    for (const one of repaired) this.run.emit({ type: "repaired", ...one });
    for (const one of left) this.run.emit({ type: "unrepaired", ...one });
    return { repaired, left };
  }

  /** Why the store cannot be written, if so; nothing of it can be repaired then. */
  async #findClosed(): Promise<StoreError | undefined> {
    try {
      await refuseLinks(this.run.store.path);
      await this.run.store.setup(CONTAINERS); // clears what killed runs have left
      await using _workspace = await this.run.store.workspace();
      return undefined;
    } catch (error) {
      if (error instanceof StoreError) return error;
      throw error;
    }
  }

  /** What the disk cannot give a second time either makes room for what can be read. */
  async #putLostAside(finding: Finding): Promise<Finding> {
    if (finding.problem !== "unreadable" || whyLeft({ ...finding, quarantine: "" })) return finding;
    const seen = await see(finding.path);
    if (seen.type !== "file" || !await isUnreadable(finding.path)) return finding;
    const { store } = this.run;
    const folders = finding.entries.map((id) => store.entryPath(id));
    return await putAside(store.quarantine, finding, folders, async (path) => {
      const now = await see(path);
      return now.type === "file" && now.inode === seen.inode;
    });
  }

  async #mendImages(findings: readonly Finding[]): Promise<void> {
    const { store, signal } = this.run;
    // A link in an image may have been a signature, which only its place can give.
    const open = new Set<string>();
    for (const { kind, entries } of findings) {
      for (const id of entries) if (kind === "image" || !await store.find(id)) open.add(id);
    }
    for (const id of open) {
      signal.throwIfAborted();
      if (!await store.find(id) && await this.#mendFromStore(id)) open.delete(id);
    }
    const items = await Promise.all([...open].map(async (id): Promise<[string, ImageItem[]]> => [
      id,
      await this.#items.of(await this.#lost(id)),
    ]));
    await this.#fetch(new Map(items));
  }

  /** Puts back the layers that the pool, or another image, has. */
  async #mendFromStore(id: string): Promise<boolean> {
    const { store } = this.run;
    const folder = store.imagePath(id);
    const found: PooledLayer[] = [];
    for (const layer of await this.#layersOf(id)) {
      if (await sizeOf(blobPath(folder, layer.digest)) === layer.size) continue;
      const pooled = await store.blobs.find(layer, this.#digests);
      if (!pooled) return false;
      found.push(pooled);
    }
    if (found.length === 0) return false;
    try {
      await store.putBack(id, found);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return false; // another process may have moved it
    }
    return await store.find(id) !== undefined;
  }

  /** Tries the items of each image one after the other, the images side by side. */
  async #fetch(items: ReadonlyMap<string, readonly ImageItem[]>): Promise<void> {
    // What one item fails with is told at the end, if no other one does it.
    const emit: Emit = (event) => event.type !== "failed" && this.run.emit(event);
    const source = new SkopeoSource({ ...this.run, emit });
    let open = [...items];
    for (let round = 0; open.length > 0; round++) {
      const next = open.flatMap(([lost, all]) => {
        const item = all[round];
        return item ? [{ ...item, lost }] : [];
      });
      if (next.length === 0) return;
      const mended = new Set<string>();
      for (const outcome of await source.download(next)) {
        const { lost } = outcome.item;
        if ("error" in outcome) {
          if (!this.#errors.has(lost)) this.#errors.set(lost, outcome.error);
          continue;
        }
        mended.add(lost);
        this.#errors.delete(lost);
        if (outcome.value.from !== undefined) this.#from.set(lost, outcome.value.from);
      }
      open = open.filter(([lost]) => !mended.has(lost));
    }
  }

  async #mendPool(findings: readonly Finding[]): Promise<void> {
    const { store } = this.run;
    const inPool = findings.filter(({ kind }) => kind === "blob" || kind === "diff-id");
    if (inPool.length === 0) return;
    const needed = new Map<string, LayerName>();
    for (const id of await store.ids()) {
      for (const layer of await this.#layersOf(id)) needed.set(layer.digest, layer);
    }
    for (const { digest = "" } of inPool) {
      const size = needed.get(digest)?.size ?? await sizeOf(store.blobs.blobPath(digest));
      // It is hashed, and what it unpacks to is recorded anew.
      if (size !== undefined) await store.blobs.find({ digest, size }, this.#digests);
    }
  }

  async #mendIndex(digest: string): Promise<void> {
    const { store } = this.run;
    const items: ImageItem[] = [];
    for (const id of await store.ids()) {
      if (await store.find(id)) {
        items.push(...await this.#items.ofIndex(digest, await this.#lost(id)));
      }
    }
    await this.#fetch(new Map([[digest, items]]));
  }

  /** Why something is not what it has to be; nothing where it is. */
  async #findReason(finding: Finding): Promise<string | undefined> {
    const { store } = this.run;
    const { kind, digest = "", entries, path } = finding;
    if (await isThere(finding)) return "it could not be put aside";
    switch (kind) {
      case "index":
        return await store.findFile(digest) ? undefined : this.#reasonOf(digest);
      case "diff-id":
        // The blob may have been wrong itself.
        return await sizeOf(path) === undefined &&
            await sizeOf(store.blobs.blobPath(digest)) !== undefined
          ? "what the blob unpacks to could not be found out"
          : undefined;
      case "blob":
        return undefined; // no image has lost it; the next one that needs it brings it
    }
    for (const id of entries) {
      const isOpen = !await store.find(id) || (kind === "image" && this.#errors.has(id));
      if (isOpen) return this.#reasonOf(id);
    }
    return undefined;
  }

  #reasonOf(key: string): string {
    return this.#errors.get(key)?.message ??
      "nothing records where it came from: fetch it by a config that names it";
  }

  #fromOf({ digest, entries }: Finding): string | undefined {
    return [...entries, digest ?? ""].map((key) => this.#from.get(key))
      .find((from) => from !== undefined);
  }

  async #lost(id: string): Promise<LostImage> {
    const { store } = this.run;
    // One that cannot be read is told as such.
    const found = await readOriginRecord(store.entryPath(id)).catch(() => undefined);
    const record = found ?? { origins: [] };
    const bytes = await this.#readManifest(id);
    return { id, record, ...(bytes && { digest: digestOf(bytes) }) };
  }

  async #layersOf(id: string): Promise<readonly LayerName[]> {
    const bytes = await this.#readManifest(id);
    const read = bytes && readManifest(bytes);
    return read?.kind === "image" ? layersOf(read.manifest) : [];
  }

  async #readManifest(id: string): Promise<Uint8Array | undefined> {
    return await readRegular(join(this.run.store.imagePath(id), "manifest.json"), MAX_JSON);
  }
}

async function isUnreadable(path: string): Promise<boolean> {
  try {
    using file = await openRegular(path);
    for await (const _ of readChunks(file));
    return false;
  } catch (error) {
    return isLost(error);
  }
}

/** Whether something that was not put aside is still as it was; another process may have done it. */
async function isThere(finding: Finding): Promise<boolean> {
  const { kind, problem, path, digest, quarantine } = finding;
  if (quarantine !== undefined || problem === "missing") return false;
  if (kind === "image" || kind === "diff-id" || digest === undefined) return false;
  if (await sizeOf(path) === undefined) return false;
  return (await digestFile({ path, unpack: false })).digest !== digest;
}
