import { type Cache, parseReference, type Reference } from "../../config/mod.ts";
import type { Run } from "../run.ts";
import type { RegistryOptions } from "../transports/docker/site.ts";
import { type Place, transportOf } from "../transports/mod.ts";
import type { Subject } from "../trust/policy.ts";
import type { Wanted } from "./wanted.ts";

/** How long a cache may be silent: a run goes on as well without one. In ms. */
const ANSWERS_WITHIN = 30_000;

/** The images in the caches of a run. */
export class Caches {
  readonly #of = new WeakMap<Place, Cache>();

  /**
   * @param run What the run gives.
   */
  constructor(
    private readonly run: Pick<
      Run,
      "caches" | "leftCaches" | "offline" | "trust" | "scratch" | "reach"
    >,
  ) {}

  /**
   * The places in caches that may have an image, in the order in which they are asked. Caches have no
   * signatures: what the policy asks for some of is not looked for there.
   *
   * @param wanted What the image must be; without a digest and an id there is no such place.
   * @param own The image at its own place, whose name the policy is asked by.
   * @returns The places.
   */
  async *places({ name, digest, imageId }: Wanted, own: Subject): AsyncGenerator<Place> {
    const { caches, leftCaches, offline, trust, scratch, reach } = this.run;
    const tag = imageId && idTag(imageId);
    if (offline || caches.length === 0 || !(digest ?? tag)) return;
    if (!await trust.acceptsAny(name, own)) return;
    for (const cache of caches) {
      if (leftCaches.has(cache, "read")) continue;
      const reference = nameIn(cache, digest === undefined ? tag : undefined);
      const how = reachCache(cache, { reach });
      const location = { transport: "docker", reference, ...how } as const;
      const options = { scratch: () => scratch.folder(), digest };
      const place = await transportOf(location).open(location, options);
      this.#of.set(place, cache);
      yield place;
    }
  }

  /**
   * Passes over a cache that does not give what it was asked for.
   *
   * @param place The place.
   * @param error What has failed.
   * @returns Whether the place is of a cache, so that the image's own places are left to be asked.
   */
  passOver(place: Place, error: unknown): boolean {
    const cache = this.#of.get(place);
    return cache !== undefined && this.run.leftCaches.passOver(cache, error, "read");
  }
}

/**
 * Names what a cache has.
 *
 * @param cache The cache.
 * @param tag The tag, if it is asked for by one.
 * @returns The name, in the cache's repository.
 */
export function nameIn({ repository }: Cache, tag?: string): Reference {
  const { domain, path } = parseReference(repository);
  return { domain, path, ...(tag !== undefined && { tag }) };
}

/**
 * Says how a cache is reached; one that is silent is left soon.
 *
 * @param cache The cache.
 * @param run Knows how registries are reached.
 * @returns How.
 */
export function reachCache(
  cache: Cache,
  { reach }: Pick<Run, "reach">,
): RegistryOptions & { readonly tlsVerify: boolean } {
  return { ...reach(nameIn(cache), cache), answersWithin: ANSWERS_WITHIN };
}

/**
 * The tag by which a cache has the image with an id.
 *
 * @param id Image id.
 * @returns The tag.
 */
export function idTag(id: string): string {
  return `id-${id.slice(id.indexOf(":") + 1)}`;
}
