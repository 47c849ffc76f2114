import type { Run } from "../run.ts";
import { type Attempt, FetchError } from "../errors/mod.ts";
import { nameOf } from "../events.ts";
import { Absence } from "../transports/absence.ts";
import { type Location, type Place, type PlaceOptions, transportOf } from "../transports/mod.ts";
import type { Caches } from "./caches.ts";
import { type ImageItem, queryOf, subjectOf } from "./image_item.ts";
import type { Wanted } from "./wanted.ts";

/** The places of an image, one after the other, and what became of those that were tried. */
export class Places {
  /** What the image must be; its id is added when a place has told it. */
  wanted: Wanted;
  readonly #attempts: Attempt[] = [];
  readonly #places: AsyncIterator<Place>;

  /**
   * @param wanted What the image must be.
   * @param locations Where it may be.
   * @param run The run.
   * @param caches Which are asked first, if any.
   */
  constructor(
    wanted: Wanted,
    private readonly locations: ImageItem["locations"],
    private readonly run: Run,
    private readonly caches?: Caches,
  ) {
    this.wanted = wanted;
    this.#places = this.#list(locations);
  }

  /**
   * The next place to try.
   *
   * @returns The place.
   * @throws {FetchError} If there is none left; it names all that were tried.
   */
  async next(): Promise<Place> {
    const { value, done } = await this.#places.next();
    if (!done) return value;
    const hint = await this.#isInStore()
      ? "the store has what it was when it was fetched last: --offline uses that"
      : hintFor(this.#attempts, { ...this.wanted, locations: this.locations });
    throw new FetchError(this.wanted.name, this.#attempts, hint);
  }

  /** Whether the store has what nothing pins, and what offline would be served. */
  async #isInStore(): Promise<boolean> {
    const { offline, store, root } = this.run;
    const { digest, imageId } = this.wanted;
    const { locations } = this;
    if (offline || digest || imageId || !("reference" in locations[0])) return false;
    return await store.search(queryOf({ ...this.wanted, locations }, root)) !== undefined;
  }

  /**
   * Passes over a place that did not give the image.
   *
   * @param place The place.
   * @param error What has failed there; what is no absence is thrown on, unless the place is a cache.
   */
  passOver(place: Place, error: unknown): void {
    if (this.caches?.passOver(place, error)) return;
    if (!(error instanceof Absence)) throw error;
    this.reject(place, error);
  }

  /**
   * Notes that a place does not have the image.
   *
   * @param place Its transport and its label.
   * @param absence Why not.
   */
  reject(place: Pick<Place, "transport" | "label">, absence: Absence): void {
    const { reason, message } = absence;
    this.#attempts.push(absence.at(place));
    this.run.emit({ type: "absent", ...nameOf(this.wanted), from: place.label, reason, message });
  }

  async *#list(locations: ImageItem["locations"]): AsyncGenerator<Place> {
    const { root, store } = this.run;
    const scratch = () => this.run.scratch.folder();
    const own = subjectOf(this.wanted, locations[0]);
    if (this.caches) yield* this.caches.places(this.wanted, own);
    for (const given of locations) {
      const transport = transportOf(given);
      const location = transport.absolute(given, root);
      const { digest, digestIsLocked } = this.wanted;
      const options = { scratch, digest, digestIsLocked };
      const place = await this.#open(location, options);
      if (place instanceof Absence) {
        this.reject({ transport: location.transport, label: transport.format(location) }, place);
        continue;
      }
      yield place;
      const { imageId } = this.wanted;
      if (imageId && transport.openById) yield await transport.openById(location, imageId, options);
    }
    const archive = this.wanted.imageId && await store.legacyArchive(this.wanted.imageId);
    if (!archive) return;
    const location = { transport: "docker-archive", path: archive } as const;
    yield await transportOf(location).open(location, { scratch });
  }

  async #open(location: Location, options: PlaceOptions): Promise<Place | Absence> {
    const transport = transportOf(location);
    if (this.run.offline && transport.isRemote(location)) {
      return new Absence("offline", "it was not asked");
    }
    try {
      return await transport.open(location, options);
    } catch (error) {
      if (error instanceof Absence) return error;
      throw error;
    }
  }
}

/**
 * Says what to do where no place has an image.
 *
 * @param attempts The places that were tried.
 * @param wanted What the image must be, and where it may be.
 * @param options How many fallbacks were left out, where only the image's own place counts.
 * @returns What to do next.
 */
export function hintFor(
  attempts: readonly Attempt[],
  { source, digest, digestIsLocked, locations }: Pick<
    ImageItem,
    "source" | "digest" | "digestIsLocked" | "locations"
  >,
  { skipped }: { readonly skipped?: number } = {},
): string {
  const orFallback = (where = "") => skipped === undefined ? `, or add a fallback${where}` : "";
  const asked = skipped ? "; fallbacks were not asked, as a lock is of the source itself" : "";
  const has = (reason: Attempt["reason"]) => attempts.some((attempt) => attempt.reason === reason);
  const known = attempts.find(({ hint }) => hint !== undefined)?.hint;
  if (known !== undefined) return known;
  const denied = attempts.find(({ reason }) => reason === "denied");
  if (denied) {
    const servers = locations.map((location) => transportOf(location).server(location));
    const registry = servers.find((server) => denied.reference.includes(`//${server}/`));
    return `log in with \`skopeo login ${registry ?? "<registry>"}\`, or set authFile under ` +
      "registries or on the source; if that is done, the registry refuses these credentials";
  }
  if (has("stalled")) {
    return "if a proxy on the way takes its time, as it scans what it passes on, let it have more " +
      `with --timeout; else see whether the registry can be reached${orFallback()}${asked}`;
  }
  const [advice, ...others] = locations.map((location) => transportOf(location).advice);
  if (advice !== undefined && !others.includes(undefined)) return advice;
  if (has("unknown") && digest) {
    const other = digestIsLocked
      ? `run \`stowage lock --update ${source}\``
      : `put another into sources.${source}`;
    return `if "${digest}" is gone there, ${other}; if not, look for a typing error in the reference`;
  }
  if (has("offline")) return `run without --offline${orFallback(" on this machine")}`;
  if (has("unknown")) {
    return `look for a typing error in the reference, or for a tag or digest that is gone${asked}`;
  }
  if (has("rate-limited")) return `log in, or try again later${orFallback()}${asked}`;
  return `see whether the registry can be reached from this machine${orFallback()}${asked}`;
}
