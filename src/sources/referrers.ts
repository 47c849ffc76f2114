import { join } from "@std/path";
import type { Reference } from "../../config/mod.ts";
import { ContentError, FetchError, InterruptedError } from "../errors/mod.ts";
import { type ImageResult, nameOf, type ReferrerResult } from "../events.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import { isTelling, kindOf } from "../store/artifacts.ts";
import { blobsOf, readManifest } from "../store/manifest.ts";
import { isOfKind, type StoredReferrer } from "../store/referrers.ts";
import type { DigestPool } from "../tools/hash/digest_pool.ts";
import { Absence, DAMAGED, PlaceError } from "../transports/absence.ts";
import type { ListedReferrer, Registries } from "../transports/docker/registries.ts";
import { type Location, type Place, transportOf } from "../transports/mod.ts";
import type { ImageItem } from "./image_item.ts";
import { hintFor } from "./places.ts";
import type { SkopeoRunner } from "./skopeo_runner.ts";

/** How many are read of one image or index. */
const MAX_REFERRERS = 500;
/** How large they may be together, in bytes. */
const MAX_BYTES = 512 * 2 ** 20;
/** How much of a blob is read at a time, in bytes. */
const PIECE = 64 * 2 ** 10;

/** A registry that is asked, for whom, and what for. */
interface Asked {
  readonly item: ImageItem;
  readonly place: Place;
  /** An image of the repository. */
  readonly reference: Reference;
  /** What is referred to. */
  readonly subject: string;
  /** Which kinds are wanted. */
  readonly wanted: true | readonly string[];
}

/** A referrer that would come along. */
export interface LookedReferrer {
  /** Digest of what it refers to. */
  readonly subject: string;
  /** The referrer. */
  readonly referrer: StoredReferrer;
  /** Whether the store has all of it. */
  readonly isHere: boolean;
}

/** A referrer that is in its registry. */
interface Found {
  readonly referrer: StoredReferrer;
  /** Its manifest; absent where the store has all of it. */
  readonly bytes?: Uint8Array;
}

/**
 * Fetches what refers to images and indexes, after
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers and
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
export class ReferrerDownloads {
  /** What is asked already: several platforms have one index. */
  readonly #asked = new Map<string, Promise<readonly ReferrerResult[]>>();

  /**
   * @param run The run.
   * @param skopeo Reads manifests, and tries again.
   * @param registries Gives lists and blobs.
   * @param digests Hashes blobs.
   */
  constructor(
    private readonly run: Run,
    private readonly skopeo: SkopeoRunner,
    private readonly registries: Registries,
    private readonly digests: DigestPool,
  ) {}

  /**
   * Fetches what refers to an image that is in the store, and to the index that is kept with it.
   *
   * @param item The item.
   * @param image The image.
   * @returns What the store has of it then, of the kinds that are wanted.
   * @throws {FetchError} If the registry does not say what there is, and the store has nothing.
   * @throws {ContentError} If something is not what its digest says, or is too much.
   */
  async fetch(item: ImageItem, image: ImageResult): Promise<readonly ReferrerResult[]> {
    const { referrers: wanted, locations: [first] } = item;
    if (!wanted) return [];
    const subjects = new Set([image.digest, ...image.index ? [image.index.digest] : []]);
    if (this.run.offline) {
      const all = await Promise.all([...subjects].map((subject) => this.#kept(subject, wanted)));
      return all.flat();
    }
    const { place, reference } = await this.#open(first);
    const found = [...subjects].map((subject) => {
      const key = JSON.stringify([reference, subject, wanted]);
      const asked = this.#asked.get(key) ??
        this.#fetchAll({ item, place, reference, subject, wanted });
      this.#asked.set(key, asked);
      return asked;
    });
    await Promise.allSettled(found);
    return (await Promise.all(found)).flat();
  }

  /**
   * Finds out what {@linkcode fetch} would bring; nothing but manifests is read, nothing is stored.
   *
   * @param item The item.
   * @param subjects Digests of its image and of its index.
   * @returns What refers to them, of the kinds that are wanted.
   * @throws {FetchError} If the registry does not say what there is, and the store has nothing.
   * @throws {ContentError} If something is not what its digest says, or is too much.
   */
  async look(item: ImageItem, subjects: readonly string[]): Promise<readonly LookedReferrer[]> {
    const { referrers: wanted, locations: [first] } = item;
    if (!wanted) return [];
    const opened = this.run.offline ? undefined : await this.#open(first);
    const looked: LookedReferrer[] = [];
    for (const subject of subjects) {
      const kept = await this.run.store.referrers.of(subject) ?? [];
      const found = opened && await this.#list({ item, ...opened, subject, wanted });
      const all = found?.found ?? kept.map((referrer): Found => ({ referrer }));
      const meant = all.filter(({ referrer: { kind } }) => isOfKind(wanted, kind));
      // Those that the registry lists no longer come along as well.
      const gone = kept.filter(({ digest, tag, kind }) =>
        isOfKind(wanted, kind) &&
        !all.some(({ referrer }) => tag ? referrer.tag === tag : referrer.digest === digest)
      );
      looked.push(
        ...meant.map(({ referrer, bytes }) => ({ subject, referrer, isHere: bytes === undefined })),
        ...gone.map((referrer) => ({ subject, referrer, isHere: true })),
      );
    }
    return looked;
  }

  async #open(location: Location): Promise<Pick<Asked, "place" | "reference">> {
    const scratch = () => this.run.scratch.folder();
    const place = await transportOf(location).open(location, { scratch });
    const reference = place.image.inRegistry;
    if (!reference) throw new TypeError(`Cannot ask "${place.label}" for referrers`);
    return { place, reference };
  }

  async #kept(
    subject: string,
    wanted: true | readonly string[],
  ): Promise<readonly ReferrerResult[]> {
    const kept = await this.run.store.referrers.of(subject) ?? [];
    return kept.filter(({ kind }) => isOfKind(wanted, kind))
      .map((referrer) => resultOf(subject, referrer, "cached"));
  }

  async #fetchAll(asked: Asked): Promise<readonly ReferrerResult[]> {
    const { item, subject, wanted } = asked;
    const { found, kept } = await this.#list(asked);
    if (!found) return await this.#kept(subject, wanted);
    const added = found.filter(({ bytes }) => bytes !== undefined);
    const all = added.length > 0 || !kept ? await this.#add(asked, added) : kept;
    const isNew = ({ digest, tag }: StoredReferrer) =>
      added.some(({ referrer }) => referrer.digest === digest && referrer.tag === tag);
    const results = all.filter(({ kind }) => isOfKind(wanted, kind)).map((referrer) =>
      resultOf(subject, referrer, isNew(referrer) ? "fetched" : "cached")
    );
    this.run.emit({ type: "referrers", ...nameOf(item), subject, referrers: results });
    return results;
  }

  /** What the registry has, and what the store keeps, which counts where the registry says nothing. */
  async #list(asked: Asked): Promise<{
    readonly found: readonly Found[] | undefined;
    readonly kept: readonly StoredReferrer[] | undefined;
  }> {
    const { item, place, reference, subject } = asked;
    const { store, signal, emit } = this.run;
    const kept = await store.referrers.of(subject);
    let listed: readonly ListedReferrer[];
    try {
      listed = await this.skopeo.withRetry(
        item,
        place,
        () => this.registries.referrers(reference, subject, place.how),
      );
    } catch (error) {
      if (!(error instanceof PlaceError)) throw error;
      if (!kept) throw this.#failure(asked, error);
      const message = `"${item.name}" has the referrers that the store has: ${error.message}`;
      emit({ type: "notice", code: "REFERRERS_KEPT", message });
      return { found: undefined, kept };
    }
    const found: Found[] = [];
    for (const one of listed) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      if (found.length >= MAX_REFERRERS) {
        throw this.#tooMuch(asked, `more than ${MAX_REFERRERS} referrers`);
      }
      const next = await this.#find(asked, one, kept ?? []);
      if (next) found.push(next);
    }
    return { found, kept };
  }

  /** One that is no more there, or is none, is told and left out: others must not fail for it. */
  async #find(
    asked: Asked,
    { digest, tag, size, artifactType = "" }: ListedReferrer,
    kept: readonly StoredReferrer[],
  ): Promise<Found | undefined> {
    const { item, place, reference, subject, wanted } = asked;
    if (isTelling(artifactType) && !isOfKind(wanted, artifactType)) return undefined;
    const known = kept.find((one) => one.digest === digest && one.tag === tag);
    if (known && await this.#isWhole(subject, known)) {
      return isOfKind(wanted, known.kind) ? { referrer: known } : undefined;
    }
    const leave = (why: string) => {
      const message = `${tag ?? digest}, which is listed as referring to "${item.name}", is left ` +
        `out: ${why}`;
      this.run.emit({ type: "notice", code: "REFERRER_LEFT", message });
      return undefined;
    };
    const image = place.byDigest(digest);
    if (!image) throw new TypeError(`Cannot ask "${place.label}" for a digest`);
    let bytes: Uint8Array;
    try {
      bytes = await this.skopeo.readManifest(item, place, image);
    } catch (error) {
      if (error instanceof Absence && error.reason === "unknown") return leave(error.message);
      throw error instanceof PlaceError ? this.#failure(asked, error) : error;
    }
    const actual = digestOf(bytes);
    if (actual !== digest || bytes.length !== size) {
      throw new ContentError(item.name, `${place.label} gives another referrer than it lists`, {
        expected: digest,
        actual,
        hint: DAMAGED,
      });
    }
    const read = readManifest(bytes);
    if (read.kind === "index") return leave("it is an index, and only manifests come along");
    if (read.kind === "invalid") return leave(read.reason);
    const { manifest } = read;
    if (tag === undefined && manifest.subject?.digest !== subject) {
      return leave(`it refers to ${manifest.subject?.digest ?? "nothing"}`);
    }
    const kind = kindOf(manifest);
    if (!isOfKind(wanted, kind)) return undefined;
    const blobs = [...blobsOf(manifest)].map(([digest, size]) => ({ digest, size }));
    const from = `${reference.domain}/${reference.path}`;
    const fetched = new Date().toISOString();
    const referrer = { digest, size, kind, ...(tag && { tag }), from, fetched, blobs };
    return { referrer, bytes };
  }

  async #isWhole(subject: string, { digest, size, blobs }: StoredReferrer): Promise<boolean> {
    const { referrers } = this.run.store;
    const files = [{ digest, size }, ...blobs];
    const found = await Promise.all(files.map((file) => referrers.has(subject, file)));
    return found.every((isThere) => isThere);
  }

  async #add(asked: Asked, added: readonly Found[]): Promise<readonly StoredReferrer[]> {
    const { item, subject } = asked;
    const { store } = this.run;
    const sizes = new Map<string, number>();
    for (const { digest, size } of added.flatMap(({ referrer }) => referrer.blobs)) {
      if ((sizes.get(digest) ?? size) !== size) {
        const message = `its referrers give two sizes for ${digest}`;
        throw new ContentError(item.name, message, { hint: DAMAGED });
      }
      sizes.set(digest, size);
    }
    const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    if (total > MAX_BYTES) throw this.#tooMuch(asked, `referrers of ${total} bytes`);
    await using workspace = await store.workspace();
    const pathOf = (digest: string) => join(workspace.path, digest.slice("sha256:".length));
    for (const { referrer: { digest }, bytes = new Uint8Array() } of added) {
      const path = pathOf(digest);
      await guard("write", path, () => Deno.writeFile(path, bytes));
    }
    const downloads = [...sizes].map(async ([digest, size]) => {
      if (await store.referrers.has(subject, { digest, size })) return;
      await this.#download(asked, { digest, size }, pathOf(digest));
    });
    // None goes on when the workspace is gone.
    await Promise.allSettled(downloads);
    await Promise.all(downloads);
    return await store.referrers.add(
      subject,
      added.map(({ referrer }) => referrer),
      workspace.path,
    );
  }

  async #download(
    asked: Asked,
    blob: { readonly digest: string; readonly size: number },
    path: string,
  ): Promise<void> {
    const { item, place } = asked;
    try {
      while (!await this.skopeo.withRetry(item, place, () => this.#read(asked, blob, path)));
    } catch (error) {
      throw error instanceof PlaceError ? this.#failure(asked, error) : error;
    }
  }

  /** Whether what came is right; a mirror that gives something else is passed over. */
  async #read(
    { item, place, reference }: Asked,
    { digest, size }: { readonly digest: string; readonly size: number },
    path: string,
  ): Promise<boolean> {
    const { how } = place;
    const { signal } = this.run;
    const options = { offset: 0, signal };
    const { read, passOver } = await this.registries.blob({ reference, how }, digest, options);
    let received = 0;
    {
      using file = await guard(
        "write",
        path,
        () => Deno.open(path, { write: true, create: true, truncate: true }),
      );
      for await (const piece of read(PIECE)) {
        received += piece.length;
        if (received > size) break;
        await guard("write", path, async () => {
          for (let done = 0; done < piece.length;) done += await file.write(piece.subarray(done));
        });
      }
    }
    const actual = received === size
      ? (await this.digests.digest({ path, unpack: false })).digest
      : undefined;
    if (actual === digest) return true;
    if (await passOver()) return false;
    const what = actual ??
      `${received > size ? "more than" : "only"} ${Math.min(received, size)} bytes`;
    throw new ContentError(item.name, `${place.label} gives a blob of a referrer as ${what}`, {
      expected: digest,
      ...(actual && { actual }),
      hint: DAMAGED,
    });
  }

  #failure({ item, place }: Asked, { message, reason, hint }: PlaceError): FetchError {
    const { name, source, locations: [first] } = item;
    const attempt = {
      transport: place.transport,
      reference: place.label,
      reason: reason === "unsupported" ? "unreachable" as const : reason,
      message: `what refers to it cannot be had: ${message}`,
      ...(hint && { hint }),
    };
    const advice = hintFor([attempt], { source, locations: [first] }, { skipped: 0 });
    return new FetchError(name, [attempt], advice);
  }

  #tooMuch({ item, subject }: Asked, what: string): ContentError {
    return new ContentError(item.name, `${subject} has ${what}`, {
      hint: `name the kinds that are wanted: sources.${item.source}.referrers takes a list`,
    });
  }
}

function resultOf(
  subject: string,
  { digest, kind, tag, size, blobs }: StoredReferrer,
  status: ReferrerResult["status"],
): ReferrerResult {
  const bytes = blobs.reduce((sum, { size }) => sum + size, size);
  return { subject, digest, kind, status, size: bytes, ...(tag && { tag }) };
}
