import type { Origin } from "./origin.ts";

/** The last moment that a record can have. */
const LAST = "9999-12-31T23:59:59.999Z";

/**
 * Dates what is fetched, so that of what a tag stood for the last is known by its date: a clock may
 * have been ahead when it was fetched before.
 */
export class FetchTimes {
  #latest: Promise<Map<string, string>> | undefined;

  /**
   * @param origins Lists where all images of the store came from; asked once.
   */
  constructor(private readonly origins: () => Promise<readonly Origin[]>) {}

  /**
   * Dates an origin after all others of its reference.
   *
   * @param origin Where an image came from, with what the clock says.
   * @returns The same, with a later date where that is not after the others.
   */
  async date(origin: Origin): Promise<Origin> {
    const latest = await (this.#latest ??= this.#read());
    const before = latest.get(origin.reference) ?? "";
    const fetched = origin.fetched > before ? origin.fetched : after(before);
    latest.set(origin.reference, fetched);
    return { ...origin, fetched };
  }

  async #read(): Promise<Map<string, string>> {
    const latest = new Map<string, string>();
    for (const { reference, fetched } of await this.origins()) {
      if (fetched > (latest.get(reference) ?? "")) latest.set(reference, fetched);
    }
    return latest;
  }
}

function after(date: string): string {
  return date < LAST ? new Date(Date.parse(date) + 1).toISOString() : date;
}
