import { join } from "@std/path";
import pLimit from "p-limit";
import { isDigest } from "../../config/mod.ts";
import { InterruptedError, ToolError } from "../errors/mod.ts";
import type { Emit } from "../events.ts";
import type { Finding, LeftFinding, RepairedFinding } from "../finding.ts";
import { type FoundOne, type Looked, otherDigest, see } from "../store/check.ts";
import { guard, list } from "../lib/fs/files.ts";
import { findLostIndexes } from "../store/lost_indexes.ts";
import { findLinks } from "../store/own_folders.ts";
import { putAside } from "../store/quarantine.ts";
import { CONTAINERS, FILES, type Store } from "../store/store.ts";
import type { KeptTree } from "../store/trees.ts";
import { lookAtArchives, lookAtIndexes, lookAtPool } from "../store/verify_files.ts";
import { lookAtArtifacts } from "../store/verify_artifacts.ts";
import { lookAtReferrers } from "../store/verify_referrers.ts";
import { lookAtImage } from "../store/verify_image.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { treeDigest } from "../tools/tar.ts";
import { fingerprint } from "../tools/tree.ts";
import { type Suspect, suspectsOf } from "./verify_suspect.ts";

/** What `verify` has found out. */
export interface VerifyResult {
  /** What is not what it has to be; it is in `quarantine/` where that could be written. */
  readonly findings: readonly Finding[];
  /** How many images were looked at. */
  readonly images: number;
  /** How many files were hashed; hard links count once. */
  readonly files: number;
  /** How many trees were read. */
  readonly trees: number;
  /** How many bytes of files were hashed. */
  readonly bytes: number;
  /** The findings that were repaired; absent unless that was asked for. */
  readonly repaired?: readonly RepairedFinding[];
  /** The findings that could not be repaired; absent unless that was asked for. */
  readonly left?: readonly LeftFinding[];
}

/** What a verification gets. */
export interface VerifyContext {
  /** The store. */
  readonly store: Store;
  /** Ids of the images that are meant, with all that they share; the whole store if absent. */
  readonly ids?: ReadonlySet<string>;
  /** Takes events. */
  readonly emit: Emit;
  /** Ends the work; nothing more is moved then. */
  readonly signal: AbortSignal;
}

/**
 * Hashes what is in a store, each file once, and puts aside what is not what it has to be.
 *
 * @param context The store, and what of it is meant.
 * @returns What was found.
 * @throws {StoreError} If the store cannot be read.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function verifyStore(context: VerifyContext): Promise<VerifyResult> {
  return await guard("verify", context.store.path, () => new Verification(context).run());
}

/** How many entries are looked at side by side. */
const LOOKS = 16;
/** Disks give no more than these can hash, each of which takes memory. */
const MAX_THREADS = 4;
/** How often progress is told, in ms. */
const TELL_EVERY = 100;

class Verification {
  readonly #context: VerifyContext;
  readonly #findings: Finding[] = [];
  /** Folders go last, as files in them may have to be put aside by themselves. */
  readonly #last: (() => Promise<void>)[] = [];
  /** Symbolic links in place of the store's own folders. */
  #links: readonly string[] = [];
  #bytes = 0;
  #told = 0;

  constructor(context: VerifyContext) {
    this.#context = context;
  }

  async run(): Promise<VerifyResult> {
    const { store, ids, signal } = this.#context;
    await this.#findLinks();
    const containers = join(store.sources, CONTAINERS);
    const all = this.#isOpen(containers) ? (await list(containers)).filter(isDigest) : [];
    const looked = await this.#look(all.sort());
    // The largest first, so that none is left alone at the end.
    const suspects = suspectsOf(looked, ids).sort((a, b) => b.size - a.size);
    const trees = !ids && this.#isOpen(store.trees.path) ? await store.trees.all() : [];
    using pool = new DigestPool(signal, Math.min(navigator.hardwareConcurrency, MAX_THREADS));
    const total = suspects.reduce((sum, { size }) => sum + size, 0);
    const work = [
      ...suspects.map((suspect) => this.#hash(suspect, pool, total)),
      this.#readTrees(trees),
    ];
    try {
      await Promise.all(work);
    } finally {
      await Promise.allSettled(work);
    }
    for (const move of this.#last) await move();
    return {
      findings: this.#findings,
      images: ids?.size ?? all.length,
      files: suspects.filter(({ size }) => size > 0).length,
      trees: trees.length,
      bytes: this.#bytes,
    };
  }

  async #look(ids: readonly string[]): Promise<Looked> {
    const { store, signal } = this.#context;
    const limit = pLimit(LOOKS);
    const parts = await Promise.all(ids.map((id) =>
      limit(() => {
        if (signal.aborted) throw new InterruptedError(signal.reason);
        return lookAtImage(store.entryPath(id), id);
      })
    ));
    const [files, containers] = [join(store.sources, FILES), join(store.sources, CONTAINERS)];
    if (this.#isOpen(files)) parts.push(await lookAtIndexes(files));
    if (this.#isOpen(files, containers, store.quarantine)) {
      parts.push({ found: await findLostIndexes(store), checks: [] });
    }
    if (this.#isOpen(store.referrers.path, containers)) parts.push(await lookAtReferrers(store));
    if (this.#isOpen(store.artifacts.path)) parts.push(await lookAtArtifacts(store.artifacts));
    if (this.#isOpen(store.archives)) parts.push(await lookAtArchives(store.archives));
    const pool = join(store.path, "blobs");
    if (this.#isOpen(join(pool, "sha256"), join(pool, "diff-ids"))) {
      parts.push(await lookAtPool(pool));
    }
    return {
      found: parts.flatMap(({ found }) => found),
      checks: parts.flatMap(({ checks }) => checks),
    };
  }

  /** A symbolic link in place of a folder of the store is told, and left to whoever made it. */
  async #findLinks(): Promise<void> {
    this.#links = await findLinks(this.#context.store.path);
    for (const path of this.#links) {
      const message = "it is a symbolic link, which is not followed";
      await this.#tell({ kind: "folder", problem: "link", path, message, entries: [] });
    }
  }

  /** Whether no symbolic link leads to any of these folders. */
  #isOpen(...folders: readonly string[]): boolean {
    return folders.every((folder) =>
      !this.#links.some((link) => `${folder}/`.startsWith(`${link}/`))
    );
  }

  async #hash(suspect: Suspect, pool: DigestPool, total: number): Promise<void> {
    const digests = await suspect.digest((request) =>
      pool.digest(request, (count) => this.#progress(count, total))
    );
    for (const { links, ...found } of suspect.judge(digests)) {
      await this.#tell(found, links);
    }
  }

  #progress(count: number, total: number): void {
    this.#bytes += count;
    const now = performance.now();
    if (this.#bytes < total && now - this.#told < TELL_EVERY) return;
    this.#told = now;
    this.#context.emit({ type: "verifying", bytes: this.#bytes, total });
  }

  async #readTrees(trees: readonly KeptTree[]): Promise<void> {
    for (const tree of trees) {
      const wrong = "record" in tree ? await this.#readTree(tree.id, tree.record) : tree;
      if (!wrong) continue;
      const { problem, message } = wrong;
      await this.#tell({
        kind: "tree",
        id: tree.id,
        ...("record" in tree && { stage: tree.record.stage }),
        path: tree.path,
        problem,
        message,
        entries: [],
      });
    }
  }

  async #readTree(
    id: string,
    record: { readonly fingerprint: string; readonly digest?: string | undefined },
  ): Promise<Pick<Finding, "problem" | "message"> | undefined> {
    const { store, signal } = this.#context;
    const tree = store.trees.treePath(id);
    // Whose files are whose is seen otherwise by another user.
    if ((await Deno.lstat(tree)).uid !== Deno.uid()) return undefined;
    try {
      const [actual, expected] = record.digest === undefined
        ? [await fingerprint(tree, { signal }), record.fingerprint]
        : [await treeDigest(tree, { signal }), record.digest];
      return actual === expected ? undefined : otherDigest(actual, expected);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      return { problem: "unreadable", message: error.message };
    }
  }

  async #tell({ inode, ...found }: FoundOne, links: readonly string[] = []): Promise<void> {
    const finding: Finding = { ...found, links };
    const finish = async () => {
      const told = await this.#putAside(finding, inode);
      this.#findings.push(told);
      this.#context.emit({ type: "damaged", ...told });
    };
    if (finding.kind === "image") this.#last.push(finish);
    else await finish();
  }

  async #putAside(finding: Finding, inode?: string): Promise<Finding> {
    const { problem, kind, entries } = finding;
    if (problem === "missing" || problem === "unreadable" || kind === "folder") return finding;
    const { store } = this.#context;
    if (!this.#isOpen(store.quarantine)) return finding;
    const isSame = async (path: string) => {
      const seen = await see(path);
      return inode === undefined
        ? seen.type !== "nothing"
        : seen.type === "file" && seen.inode === inode;
    };
    const folders = entries.map((id) => store.entryPath(id));
    return await putAside(store.quarantine, finding, folders, isSame);
  }
}
