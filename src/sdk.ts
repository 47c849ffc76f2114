import type { Plan } from "./build/plan.ts";
import type { CreatedBundle } from "./carry/create_bundle.ts";
import type { LoadedBundle } from "./carry/load_bundle.ts";
import type { BundleOptions } from "./carry/look_into_bundle.ts";
import type { MirrorFormat } from "./carry/mirror_config.ts";
import type { Planned } from "./carry/prune.ts";
import type { PushPlan, PushResult } from "./carry/push.ts";
import type { NextPiece } from "./carry/discs.ts";
import type { Receipt } from "./carry/receipt.ts";
import type { ArtifactResult, ImageResult, Listener, StageResult } from "./events.ts";
import type { PruneCacheOptions, PruneCacheResult } from "./fleet/prune_cache.ts";
import type { Workers } from "./fleet/workers/on_workers.ts";
import type { WorkerOptions, WorkerResult } from "./fleet/workers/worker.ts";
import type { Graph } from "./graph/node.ts";
import type { Shard } from "./graph/shard.ts";
import type { LockResult } from "./lockfile/make_lock.ts";
import type { OutdatedResult } from "./lockfile/outdated.ts";
import type { GcOptions, GcResult } from "./maintain/gc.ts";
import type { ListedArtifact } from "./maintain/list_artifacts.ts";
import type { StoredImage } from "./maintain/list_images.ts";
import type { StoreOptions, VerifyOptions } from "./maintain/look_after.ts";
import type { VerifyResult } from "./maintain/verify.ts";
import type { StowageOptions } from "./options.ts";
import type { Report, ReportOptions } from "./report/report.ts";

export type {
  BundleOptions,
  GcOptions,
  PruneCacheOptions,
  ReportOptions,
  StoreOptions,
  StowageOptions,
  VerifyOptions,
  WorkerOptions,
  WorkerResult,
  Workers,
};

/** What one run takes. */
export interface RunOptions {
  /** Names of the sources (and, but for `fetch`, stages) that are meant; all if absent. */
  readonly names?: readonly string[];
  /** Which part of that is meant; all of it if absent. */
  readonly shard?: Shard;
  /** Takes events while the run goes on. */
  readonly onEvent?: Listener;
  /** Ends the run, and the programs that it has started. */
  readonly signal?: AbortSignal;
}

/** What `fetch` takes. */
export interface FetchOptions extends RunOptions {
  /** Workers that do what they can of it, before this machine takes that from the cache. */
  readonly on?: Workers;
}

/** How long an operation took. */
export interface Timed {
  /** From the call to its end, in ms. */
  readonly duration: number;
}

/** What `fetch` has done. */
export interface FetchResult {
  /** The images that are in the store, in the order of the config. */
  readonly images: readonly ImageResult[];
  /** Keys of what workers have done and only the cache has; absent where there is nothing. */
  readonly cached?: readonly string[];
  /** The artifacts that are in the store; absent where no source is one. */
  readonly artifacts?: readonly ArtifactResult[];
}

/** What `lock` takes. */
export interface LockOptions extends Omit<RunOptions, "shard"> {
  /** Whether the sources that are named, or all, are asked for again, although they are locked. */
  readonly update?: boolean;
}

/** What `build` takes. */
export interface BuildOptions extends FetchOptions {
  /** Folder that results are put into, each in a folder of its stage's name. */
  readonly out?: string;
  /** Whether the tree of every stage is kept, not only the last on each tree. */
  readonly keepStages?: boolean;
}

/** What `build` has done. */
export interface BuildResult extends FetchResult {
  /** The stages, in the order in which they depend on each other. */
  readonly stages: readonly StageResult[];
  /** Where results were put, by name of the stage. */
  readonly out: Readonly<Record<string, string>>;
}

/** What `push` takes. */
export interface PushOptions extends RunOptions {
  /** The registry, or a path in it: `REGISTRY[/path]`. */
  readonly to: string;
  /**
   * Other names there, `FROM=TO`: FROM is a reference, its beginning or the name of a source; the
   * longest that fits counts.
   */
  readonly map?: readonly string[];
  /**
   * Whether TLS is required there and its certificates checked. What the config says in
   * `registries` counts if absent, and `true` without that; so it is with the files below.
   */
  readonly tlsVerify?: boolean;
  /** File with credentials, as containers-auth.json(5) has it; the machine's own if absent. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates; `/etc/containers/certs.d/…` if absent. */
  readonly certDir?: string;
  /**
   * In which words the result says how the old names lead to what was pushed: of registries.conf,
   * of OpenShift (`idms`), of k3s and rke2, of containerd; it does not if absent.
   */
  readonly mirrors?: MirrorFormat;
  /**
   * File that says what pushes have written to that registry; it is made where it is not there. The
   * same one has to be named at each push, for the registry to be pruned.
   */
  readonly state?: string;
  /**
   * Whether what earlier pushes wrote, as `state` says, and the config no longer has is deleted. It
   * takes the whole config, and nothing is deleted if something could not be pushed. With what a
   * plan has in `pruned`, nothing else is deleted than what that plan was to delete.
   */
  readonly prune?: boolean | readonly Planned[];
}

/** What `createBundle` takes. */
export interface CreateBundleOptions extends RunOptions {
  /** Receipts of who it is for: layers that all of them have are left out. */
  readonly since?: readonly string[];
  /** How many bytes a piece of it has at most, from 1 MiB; it is one file if absent. */
  readonly chunk?: number;
  /**
   * What its sums are signed with: the file of an OpenSSH key (its `.pub` where ssh-agent has it),
   * or what gpg finds a key by; it is not signed if absent.
   */
  readonly sign?: string;
}

/** A registry that has what was pushed to it. */
export interface FarOptions
  extends Pick<PushOptions, "map" | "tlsVerify" | "authFile" | "certDir"> {
  /** The registry, or a path in it: `REGISTRY[/path]`, as a push has it. */
  readonly from?: string;
}

/** What `loadBundle` takes. */
export interface LoadBundleOptions extends BundleOptions, FarOptions {
  /**
   * Waits for the next piece of a bundle, such as for another disc, and says where it is then: its
   * file, or its folder. Where it says nothing, or is absent, what has come is kept in the store,
   * and `BundleError` has the names of the pieces that are missing.
   */
  readonly nextPiece?: NextPiece;
}

/** What `receipt` takes: of the registry `from`, or else of the store. */
export interface ReceiptOptions extends FarOptions {
  /** The file that it is written to; it is only returned if absent. */
  readonly out?: string;
  /** Names of the sources that the registry is asked for; all if absent. */
  readonly names?: readonly string[];
  /** Takes events. */
  readonly onEvent?: Listener;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** A config, ready to run. */
export interface Stowage {
  /** The graph of the config. */
  readonly graph: Graph;
  /**
   * Finds out what a build would do; nothing is downloaded but manifests and
   * configs, nothing is stored.
   *
   * @param options What the run takes.
   * @returns The plan; a source that cannot be had is part of it.
   * @throws {UsageError} If a name means nothing.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted.
   */
  plan(options?: RunOptions): Promise<Plan & Timed>;
  /**
   * Fetches sources into the store.
   *
   * @param options What the run takes.
   * @returns The images, each of them in the store and verified.
   * @throws {RunError} If some could not be fetched; the others are in the store.
   * @throws {UsageError} If a name means nothing.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {QueueError} If the queue of its workers does not answer.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted.
   */
  fetch(options?: FetchOptions): Promise<FetchResult & Timed>;
  /**
   * Fetches sources and runs stages.
   *
   * @param options What the run takes.
   * @returns The images, the stages, and where results are.
   * @throws {RunError} If something failed; all that does not need it is done.
   * @throws {UsageError} If a name means nothing, or something else is where a result belongs.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {QueueError} If the queue of its workers does not answer.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store, or results cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  build(options?: BuildOptions): Promise<BuildResult & Timed>;
  /**
   * Pushes sources to a registry, each under its own path there: `docker.io/library/nginx:1.27`
   * becomes `REGISTRY/library/nginx:1.27`. Manifests and indexes are the same bytes, with the same
   * digests; a source of several platforms is its index. An image that the store has nothing of, and
   * of which no signature is asked for, passes from its registry without it: each blob is compared
   * with its digest, and none is unpacked. What else the store does not have is fetched first. Only
   * blobs that are missing are sent, each once; tags come last, and are read back.
   *
   * @param options What the run takes.
   * @returns What is in the registry.
   * @throws {RunError} If some could not be fetched or pushed; the others are there.
   * @throws {UsageError} If a name means nothing, two sources would have the same name there, or
   * mirrors cannot be written in these words.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted; no tag stands for half an image.
   */
  push(options: PushOptions): Promise<PushResult & Timed>;
  /**
   * Finds out what a push would send; nothing is downloaded but manifests, nothing is sent.
   *
   * @param options What the run takes.
   * @returns The plan, with bytes.
   * @throws {RunError} If some sources cannot be had, or the registry does not answer.
   * @throws {UsageError} If a name means nothing, two sources would have the same name there, or
   * mirrors cannot be written in these words.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {InterruptedError} If the run was interrupted.
   */
  planPush(options: PushOptions): Promise<PushPlan & Timed>;
  /**
   * Makes a bundle: sources in one file, or in pieces, for a site without network. It is an OCI
   * image layout in a tar archive, with a `bundle.json` that says what it has. What the store does
   * not have is fetched first. The same content makes the same bytes.
   *
   * @param path The file; its sums, and their signature, are beside it.
   * @param options What the run takes.
   * @returns The bundle.
   * @throws {RunError} If some sources could not be fetched; there is no bundle then.
   * @throws {ContentError} If the store's copy of something is damaged.
   * @throws {UsageError} If a name means nothing, or a receipt, the key or the file is none.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {ToolError} If it cannot be signed; there is no bundle then.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If it cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  createBundle(path: string, options?: CreateBundleOptions): Promise<CreatedBundle & Timed>;
  /**
   * Loads a bundle into the store. Its signature, its pieces and what it builds on are checked
   * first, every byte is verified as in `fetch`, and what is in the store is skipped. Pieces may
   * come one after the other, in their order: what is in one is kept until all have come.
   *
   * @param paths Its file, or pieces of it; the others are found beside them.
   * @param options The key, events, cancellation; `from` names a registry here that has layers which
   * the bundle leaves out and the store does not have.
   * @returns What is in the store.
   * @throws {PushError} If that registry does not answer.
   * @throws {BundleError} If it is damaged, not signed by the key, or something is not at hand.
   * @throws {ContentError} If an image is not what its config says.
   * @throws {UsageError} If no file is named, or the key is none.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If the store cannot be written.
   * @throws {InterruptedError} If it was interrupted; run it again to go on.
   */
  loadBundle(
    paths: string | readonly string[],
    options?: LoadBundleOptions,
  ): Promise<LoadedBundle & Timed>;
  /**
   * Says what the store holds, or a registry that sources were pushed to, for who makes a bundle for
   * it.
   *
   * @param options Where it is written to; `from` names a registry, which is asked for the sources.
   * @returns What it holds.
   * @throws {PushError} If the registry does not answer.
   * @throws {LockError} If a source has a rule for tags, and the lock does not say which.
   * @throws {UsageError} If there is no store, or no such source.
   * @throws {StoreError} If the store cannot be read, or the file not written.
   */
  receipt(options?: ReceiptOptions): Promise<Receipt>;
  /**
   * Writes a lock of what the tags of the config stand for, or completes the one that is there. What
   * could be locked is written, also where some sources could not.
   *
   * @param path The file, usually `images.lock.json`; another process that writes it is waited for.
   * @param options What the run takes.
   * @returns The lock, and what has changed; where nothing has, the file stays as it is.
   * @throws {RunError} If some sources could not be locked; its result has the lock of the others.
   * @throws {LockError} If the file is no lock.
   * @throws {UsageError} If a name means nothing.
   * @throws {StoreError} If the file cannot be read or written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  lock(path: string, options?: LockOptions): Promise<LockResult & Timed>;
  /**
   * Makes a lock of what the tags of the config stand for; nothing is downloaded but manifests
   * and configs.
   *
   * @param options What the run takes.
   * @returns The lock, with what was locked already as it was, and what has changed.
   * @throws {RunError} If some sources could not be locked; its result has the lock of the others.
   * @throws {UsageError} If a name means nothing.
   * @throws {InterruptedError} If the run was interrupted.
   */
  makeLock(options?: LockOptions): Promise<LockResult & Timed>;
  /**
   * Compares the lock with the config; no registry is asked.
   *
   * @param options Which sources; all of them, and nothing else in the lock, without names.
   * @returns Nothing; it throws where they differ.
   * @throws {LockError} If something is not locked, or locked as something else.
   * @throws {UsageError} If a name means nothing.
   */
  checkLock(options?: Pick<RunOptions, "names">): Promise<void>;
  /**
   * Asks which tags stand for something else than what is pinned.
   *
   * @param options What the run takes.
   * @returns The sources whose tags moved, and how many manifests were read.
   * @throws {RunError} If some sources could not be asked for; its result has the others.
   * @throws {InterruptedError} If the run was interrupted.
   */
  outdated(options?: RunOptions): Promise<OutdatedResult & Timed>;
  /**
   * Lists the images of the store.
   *
   * @param options Which images.
   * @returns The images, by id; their bytes are not hashed.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreError} If the store cannot be read.
   */
  list(options?: Pick<StoreOptions, "names">): Promise<readonly StoredImage[]>;
  /**
   * Lists the artifacts of the store.
   *
   * @returns The artifacts, by digest; their bytes are not hashed.
   * @throws {UsageError} If there is no store.
   * @throws {StoreError} If the store cannot be read.
   */
  listArtifacts(): Promise<readonly ListedArtifact[]>;
  /**
   * Hashes what is in the store, and puts aside what is not what it has to be. A repair puts it back
   * from what the store has, or else from where it came.
   *
   * @param options Which images, with all that they share; all of the store without names.
   * @returns What was found, if anything, and with `repair` what became of it; nothing is thrown for
   * that.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreBusyError} If gc has the store for longer than a run waits.
   * @throws {StoreError} If the store cannot be read.
   * @throws {InterruptedError} If the run was interrupted.
   */
  verify(options?: VerifyOptions): Promise<VerifyResult & Timed>;
  /**
   * Says what a reviewer of the config wants to know: the graph, and of each image that the store
   * has for it what it is, what it shares, where it came from, and what accepted it. No registry is
   * asked.
   *
   * @param options Which sources, and whether the store is verified for it.
   * @returns The report, which `formatReport()` makes a page of.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreBusyError} If gc has the store for longer than a run waits.
   * @throws {StoreError} If the store cannot be read.
   * @throws {InterruptedError} If the run was interrupted.
   */
  report(options?: ReportOptions): Promise<Report>;
  /**
   * Removes from the store what neither this config, nor its lock, nor what is to be kept needs. No
   * registry is asked: what a tag needs is the image that was fetched by it last.
   *
   * @param options What the run takes.
   * @returns What is gone, or would be.
   * @throws {UsageError} If nothing is named that could need anything, unless `all` may go.
   * @throws {StoreBusyError} If others work with the store for longer than `wait`.
   * @throws {StoreError} If the store cannot be read or written.
   * @throws {InterruptedError} If the run was interrupted; what is left is whole.
   */
  gc(options?: GcOptions): Promise<GcResult & Timed>;
  /**
   * Deletes from a cache what no run has used for long. Only runs that may write to it tell what they
   * use, once a day; what none has told of counts as used when it is first seen here. The registry
   * frees the room of layers by its own garbage collection.
   *
   * @param options The cache, and what may go.
   * @returns What is gone, or would be.
   * @throws {UsageError} If the run is offline, or an option is wrong.
   * @throws {PushError} If the registry does not answer, or forbids to delete.
   * @throws {InterruptedError} If the run was interrupted; run it again to go on.
   */
  pruneCache(options: PruneCacheOptions): Promise<PruneCacheResult & Timed>;
}
