import { dirname, join } from "@std/path";
import { formatReference } from "../../config/mod.ts";
import {
  ContentError,
  FetchError,
  LockError,
  PolicyError,
  type StowageError,
} from "../errors/mod.ts";
import type { ArtifactResult } from "../events.ts";
import type { ArtifactNode } from "../graph/node.ts";
import { FairLimit } from "../lib/async/fair_limit.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import { artifactResult, kindOf, type StoredArtifact } from "../store/artifacts.ts";
import { blobPath, readDirImage } from "../store/image.ts";
import { markUsed } from "../store/last_use.ts";
import { blobsOf, type ImageManifest, readManifest, sizeOfImage } from "../store/manifest.ts";
import { CONTAINERS } from "../store/store.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { Absence, DAMAGED, PlaceError } from "../transports/absence.ts";
import { Registries } from "../transports/docker/registries.ts";
import { formatLocation, type Place, type PlaceImage, transportOf } from "../transports/mod.ts";
import { serverOf, subjectOf } from "./image_item.ts";
import { HASH_THREADS } from "./layers.ts";
import { isCalledImage } from "./no_image.ts";
import { hintFor } from "./places.ts";
import { attempt, type Outcome } from "./source.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";
import { mismatch } from "./wanted.ts";

/** What a registry has of an artifact. */
export interface ResolvedArtifact {
  /** The registry. */
  readonly place: Place;
  /** The artifact there, by its digest. */
  readonly image: PlaceImage;
  /** Digest of its manifest. */
  readonly digest: string;
  /** Its manifest. */
  readonly manifest: ImageManifest;
  /** What it is. */
  readonly kind: string;
  /** Size of config and layers, in bytes. */
  readonly size: number;
}

/** What is in the store, or what a registry has. */
export type FoundArtifact =
  | { readonly stored: StoredArtifact }
  | { readonly found: ResolvedArtifact };

/** Fetches what registries keep that is no image: whole, byte for byte, by skopeo. */
export class ArtifactDownloads {
  readonly #registries: Registries;
  readonly #skopeo: SkopeoRunner;
  readonly #digests: DigestPool;
  readonly #limit: FairLimit;

  /**
   * @param run The run.
   */
  constructor(private readonly run: Run) {
    this.#registries = new Registries(run);
    this.#skopeo = new SkopeoRunner(run, this.#registries);
    this.#digests = run.scratch.use(new DigestPool(run.signal, HASH_THREADS));
    this.#limit = new FairLimit(run.jobs);
  }

  /** How many manifests were read from registries. */
  get manifestReads(): number {
    return this.#skopeo.manifestReads;
  }

  /**
   * Fetches artifacts into the store, side by side; one that fails does not stop the others.
   *
   * @param nodes The artifacts.
   * @returns What became of each, in their order.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async download(
    nodes: readonly ArtifactNode[],
  ): Promise<Outcome<ArtifactNode, ArtifactResult>[]> {
    await this.run.store.setup(CONTAINERS); // which clears what dead processes have left
    return await this.#each(nodes, (node) => this.fetch(node));
  }

  /**
   * Finds out what a run would do; nothing but manifests is downloaded.
   *
   * @param nodes The artifacts.
   * @returns What was found of each, in their order.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async look(nodes: readonly ArtifactNode[]): Promise<Outcome<ArtifactNode, FoundArtifact>[]> {
    return await this.#each(nodes, (node) => this.#find(node));
  }

  /**
   * Asks registries what artifacts are, whatever the store has.
   *
   * @param nodes The artifacts.
   * @returns What was found of each, in their order.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async resolve(
    nodes: readonly ArtifactNode[],
  ): Promise<Outcome<ArtifactNode, ResolvedArtifact>[]> {
    return await this.#each(nodes, (node) => this.#asked(node, () => this.#resolve(node)));
  }

  /**
   * Fetches an artifact into the store.
   *
   * @param node The artifact.
   * @returns What is in the store then.
   * @throws {FetchError} If the registry does not give it.
   * @throws {ContentError} If it is not what was asked for, or is an image.
   * @throws {PolicyError} If the policy does not accept it.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async fetch(node: ArtifactNode): Promise<ArtifactResult> {
    const found = await this.#find(node);
    const { store, emit } = this.run;
    const result = "stored" in found
      ? artifactResult(node, found.stored)
      : { ...await this.#download(node, found.found), from: found.found.place.label };
    await markUsed(store.artifacts.folder(result.digest));
    emit({ type: "artifact", ...result });
    return result;
  }

  #each<Value>(
    nodes: readonly ArtifactNode[],
    action: (node: ArtifactNode) => Promise<Value>,
  ): Promise<Outcome<ArtifactNode, Value>[]> {
    return Promise.all(
      nodes.map((node) =>
        this.#limit.run(serverOf(node), () => attempt(node, this.run, () => action(node)))
      ),
    );
  }

  async #find(node: ArtifactNode): Promise<FoundArtifact> {
    const { store, offline } = this.run;
    const { digest, locations: [location] } = node;
    const stored = digest !== undefined
      ? await store.artifacts.find(digest)
      : offline
      ? await store.artifacts.findBy(formatLocation(location))
      : undefined;
    if (stored) {
      await this.#requireAccepted(node, stored);
      return { stored };
    }
    const found = await this.#asked(node, () => this.#resolve(node));
    this.#requirePin(node, found.digest);
    // Its tag may stand for what is here.
    const here = await store.artifacts.find(found.digest);
    if (!here) return { found };
    await this.#requireAccepted(node, here);
    await this.#note(node, here.digest);
    return { stored: here };
  }

  async #resolve(node: ArtifactNode): Promise<ResolvedArtifact> {
    const { name, digest: wanted, locations: [given] } = node;
    const { root, scratch, offline } = this.run;
    const transport = transportOf(given);
    if (offline) throw new Absence("offline", "it was not asked");
    const location = transport.absolute(given, root);
    const place = await transport.open(location, {
      scratch: () => scratch.folder(),
      digest: wanted,
      digestIsLocked: node.digestIsLocked,
    });
    const bytes = await this.#skopeo.readManifest(node, place, place.image);
    const digest = digestOf(bytes);
    if (wanted !== undefined && digest !== wanted) {
      throw mismatch(node, `${place.label}: the digest`, wanted, digest);
    }
    const read = readManifest(bytes);
    if (read.kind === "invalid") {
      throw new ContentError(name, `${place.label}: ${read.reason}`, { actual: digest });
    }
    const image = `docker(${place.reference ? `"${formatReference(place.reference)}"` : "…"})`;
    if (read.kind === "index") {
      throw new ContentError(name, `${place.label}: it is an index, and no single artifact`, {
        actual: digest,
        hint: `if it is an image, make it ${image}; else name one of its manifests by digest`,
      });
    }
    const { manifest } = read;
    if (isCalledImage(manifest)) {
      throw new ContentError(name, `${place.label}: it is an image, and no artifact`, {
        actual: digest,
        hint: `make sources.${node.source} ${image}`,
      });
    }
    const kind = kindOf(manifest);
    const size = sizeOfImage(manifest);
    return { place, image: place.byDigest(digest) ?? place.image, digest, manifest, kind, size };
  }

  async #download(
    node: ArtifactNode,
    { place, image, digest, manifest }: ResolvedArtifact,
  ): Promise<ArtifactResult> {
    const { store } = this.run;
    await using work = await store.workspace();
    // The folder that is moved must not be the one that is cleaned up.
    const folder = join(work.path, "content", "artifact");
    const into = { folder, work: work.path, anew: () => makeAnew(folder) };
    await this.#asked(
      node,
      () =>
        this.#skopeo.withRetry(
          node,
          place,
          () => this.#skopeo.copy(node, { place, image }, into, {}),
        ),
    );
    const arrived = await readDirImage(folder);
    const refuse = (why: string, more: { expected?: string; actual?: string } = {}) =>
      new ContentError(node.name, `${place.label}: ${why}`, { ...more, hint: DAMAGED });
    if ("missing" in arrived) throw refuse(`what arrived is not whole: ${arrived.missing}`);
    if (arrived.digest !== digest) {
      const why = "another manifest arrived than was read";
      throw refuse(why, { expected: digest, actual: arrived.digest });
    }
    for (const [blob] of blobsOf(manifest)) {
      const path = blobPath(folder, blob);
      const { digest: actual } = await this.#digests.digest({ path, unpack: false });
      if (actual !== blob) {
        throw refuse("a blob is not what it is called", { expected: blob, actual });
      }
    }
    const reference = formatLocation(node.locations[0]);
    const kept = await store.artifacts.commit(folder, digest, reference, work.path);
    return { ...artifactResult(node, kept), status: "fetched" };
  }

  /** The policy is asked for what is here, too, as of images. */
  async #requireAccepted(node: ArtifactNode, { digest, path, manifest, size }: StoredArtifact) {
    const subject = subjectOf(node, node.locations[0]);
    const image = { path, id: manifest.config.digest, digest, manifest, size };
    if (await this.#skopeo.accepts(node, subject, image)) return;
    throw new PolicyError(
      node.name,
      "the store has it, and the signature policy does not accept it",
      "see what the policy asks of it, and whether it is signed",
    );
  }

  #requirePin({ name, source, digest, unlocked }: ArtifactNode, found: string): void {
    if (digest !== undefined || this.run.digests !== "require") return;
    const why = unlocked === undefined ? "" : ` (${unlocked})`;
    throw new LockError("LOCK_MISSING", `Cannot accept "${name}": it is not pinned${why}`, [], {
      hint: `add digest: "${found}" to sources.${source}, or run \`stowage lock\``,
    });
  }

  async #note(node: ArtifactNode, digest: string): Promise<void> {
    const { store } = this.run;
    const reference = formatLocation(node.locations[0]);
    const [latest] = (await store.artifacts.origins(digest)).slice(-1);
    if (latest?.reference === reference) return;
    await using work = await store.workspace();
    await store.artifacts.addOrigin(digest, reference, work.path);
  }

  async #asked<Value>(node: ArtifactNode, ask: () => Promise<Value>): Promise<Value> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof PlaceError)) throw error;
      const { locations: [location], name, source } = node;
      const attempt = error.at({
        transport: location.transport,
        label: formatLocation(location),
      });
      const of = { ...node, source, locations: [location] as const };
      throw new FetchError(name, [attempt], hintFor([attempt], of, { skipped: 0 }));
    }
  }
}

/**
 * Tells which artifacts are not pinned, if the config's `digests` says so.
 *
 * @param nodes The artifacts.
 * @param run The run.
 */
export function tellUnpinnedArtifacts(
  nodes: readonly ArtifactNode[],
  { digests, emit }: Pick<Run, "digests" | "emit">,
): void {
  const open = nodes.filter(({ digest }) => digest === undefined);
  if (open.length === 0 || digests !== "warn") return;
  const names = open.map(({ name }) => `"${name}"`).join(", ");
  const message = `${names} ${open.length === 1 ? "is" : "are"} not pinned: run \`stowage lock\``;
  emit({ type: "notice", code: "UNPINNED", message, keys: open.map(({ key }) => key) });
}

/**
 * Parts the outcomes of artifacts.
 *
 * @param outcomes What became of each.
 * @param failures Takes why some failed, by key.
 * @returns What was made of the others.
 */
export function valuesOf<Value>(
  outcomes: readonly Outcome<ArtifactNode, Value>[],
  failures: Record<string, StowageError>,
): Value[] {
  return outcomes.flatMap((outcome) => {
    if (!("error" in outcome)) return [outcome.value];
    failures[outcome.item.key] = outcome.error;
    return [];
  });
}

async function makeAnew(folder: string): Promise<void> {
  const around = dirname(folder);
  await Deno.remove(around, { recursive: true }).catch(() => {});
  await guard("make the folder", around, () => Deno.mkdir(around, { mode: 0o755 }));
}
