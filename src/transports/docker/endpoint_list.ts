import type { Reference } from "../../../config/reference.ts";
import { type Endpoint, findEndpoints, findTarget } from "./endpoints.ts";
import { PlaceError } from "../absence.ts";
import { RangeRefused, Refused, RegistryError, Unserved, WrongManifest } from "./errors.ts";
import { readRegistriesConf, type RegistriesSettings } from "./registries_conf.ts";
import { type RegistryOptions, type Site, toSite } from "./site.ts";

/** The places of images, those of mirrors included. */
export class EndpointList {
  #settings: Promise<RegistriesSettings> | undefined;
  /** Hosts that could not be reached, until one of them answers. */
  readonly #failed = new Set<string>();
  /** Hosts that gave what was of no use: what else they give well does not mend that. */
  readonly #useless = new Set<string>();

  /**
   * Takes where the places are said.
   *
   * @param registriesConf File that replaces the machine's registries.conf; read when needed.
   */
  constructor(private readonly registriesConf?: string) {}

  /**
   * Reads who knows credentials.
   *
   * @returns `credential-helpers` of registries.conf.
   * @throws {Unserved} If that cannot be read.
   */
  async credentialHelpers(): Promise<readonly string[]> {
    return (await this.#read()).credentialHelpers;
  }

  /**
   * Asks one place after the other until one has what is asked for.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @param ask Asks a place, where the image has a name of its own.
   * @returns What the first place that has it says.
   * @throws {RegistryError} If none has it, but one may in a moment; or if one asks for what is not
   * safe.
   * @throws {Unserved} If none has it.
   */
  async walk<Value>(
    reference: Reference,
    how: RegistryOptions,
    ask: (site: Site, name: Reference) => Promise<Value>,
  ): Promise<Value> {
    const endpoints = findEndpoints(reference, await this.#read());
    const isLast = (endpoint: Endpoint) => Number(this.#isLast(endpoint));
    const failures = new Map<Endpoint, PlaceError>();
    // A place that cannot be reached would cost each request the time to find out.
    for (const endpoint of endpoints.toSorted((a, b) => isLast(a) - isLast(b))) {
      const { reference, isInsecure } = endpoint;
      try {
        const value = await ask(toSite(reference, isInsecure, how), reference);
        this.#failed.delete(reference.domain);
        return value;
      } catch (error) {
        if (!(error instanceof PlaceError)) throw error;
        // skopeo asks all of them, and would do what is refused.
        if (error instanceof Refused) throw error;
        failures.set(endpoint, error);
        const isDown = error instanceof RegistryError &&
          !["rate-limited", "unknown"].includes(error.reason);
        if (isDown) this.#failed.add(reference.domain);
      }
    }
    throw mostTelling(endpoints, failures);
  }

  /**
   * Tells whether there are several places to ask, one of which can be named.
   *
   * @param reference The image.
   * @param text A registries.conf that another entry is added to.
   * @returns Whether it may be asked for elsewhere too, and no drop-in overrules that entry.
   * @throws {Unserved} If it is blocked, or registries.conf cannot be read.
   */
  async hasSeveral(reference: Reference, text: string): Promise<boolean> {
    const settings = await this.#read();
    const name = `${reference.domain}/${reference.path}`;
    const isOverruled = settings.registries.has(name) && !text.includes(name);
    return !isOverruled && findEndpoints(reference, settings).length > 1;
  }

  /**
   * Says where an image is written.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @returns The repository.
   * @throws {Unserved} If registries.conf blocks it.
   */
  async target(reference: Reference, how: RegistryOptions): Promise<Site> {
    const { isInsecure } = findTarget(reference, await this.#read());
    return toSite(reference, isInsecure, how);
  }

  /**
   * Asks a place last from now on, as what it gives is of no use.
   *
   * @param reference The image.
   * @param domain Where what was of no use came from.
   * @returns Whether another place is left.
   */
  async passOver(reference: Reference, domain: string): Promise<boolean> {
    this.#useless.add(domain);
    const endpoints = findEndpoints(reference, await this.#read());
    return endpoints.some((endpoint) => !this.#isLast(endpoint));
  }

  #isLast({ reference: { domain } }: Endpoint): boolean {
    return this.#failed.has(domain) || this.#useless.has(domain);
  }

  #read(): Promise<RegistriesSettings> {
    return this.#settings ??= readRegistriesConf(this.registriesConf);
  }
}

/**
 * What may pass is worth another try; else what is wrong counts, else the last place, the registry itself, knows best. What
 * the others said is told behind it; where skopeo is asked next, it tells that itself.
 */
function mostTelling(
  endpoints: readonly Endpoint[],
  failures: ReadonlyMap<Endpoint, PlaceError>,
): PlaceError {
  const all = endpoints.flatMap((endpoint) => failures.get(endpoint) ?? []);
  const passing = all.find((error) => error.isTransient);
  const wrong = all.find((error) => error instanceof WrongManifest);
  const error = passing ?? wrong ?? all.at(-1) ?? new Unserved("there is no place to ask");
  if (!(error instanceof RegistryError) || all.length === 1) return error;
  const others = [...failures.values()].filter((failure) => failure !== error)
    .map(({ message }) => message);
  const { reason, message, isTransient, hint, isOfManifest } = error;
  const Kind = error instanceof RangeRefused ? RangeRefused : RegistryError;
  return new Kind(reason, [message, ...others].join("; "), { isTransient, hint, isOfManifest });
}
