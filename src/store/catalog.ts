import type { Origin, OriginRecord } from "./origin.ts";

/** What is known of an entry without looking into its image. */
export interface CatalogEntry extends OriginRecord {
  /** Image id. */
  readonly id: string;
}

/**
 * Finds entries by what is recorded of them, all of which is read once: a run that asks for many
 * images must not read the whole store for each.
 */
export class Catalog {
  readonly #ids = new Map<string, Set<string>>();
  #reading: Promise<readonly CatalogEntry[]> | undefined;

  /**
   * @param entries Reads what is recorded of all entries.
   */
  constructor(private readonly entries: () => Promise<readonly CatalogEntry[]>) {}

  /**
   * Finds entries.
   *
   * @param key The digest of a manifest or an index, or a reference.
   * @returns Ids of the images that have, or had, to do with it; they have to be looked at.
   */
  async idsOf(key: string): Promise<readonly string[]> {
    await this.#read();
    return [...this.#ids.get(key) ?? []];
  }

  /**
   * Lists where images came from.
   *
   * @returns All that was recorded when it was read.
   */
  async origins(): Promise<readonly Origin[]> {
    return (await this.#read()).flatMap(({ origins }) => origins);
  }

  /**
   * Notes what is recorded of an entry from now on.
   *
   * @param entry The entry.
   */
  add({ id, manifest, origins }: CatalogEntry): void {
    const said = origins.flatMap(({ digest, index, reference }) => [digest, index, reference]);
    for (const key of [manifest, ...said]) {
      if (key !== undefined) this.#ids.set(key, (this.#ids.get(key) ?? new Set()).add(id));
    }
  }

  #read(): Promise<readonly CatalogEntry[]> {
    return this.#reading ??= this.entries().then((entries) => {
      for (const entry of entries) this.add(entry);
      return entries;
    });
  }
}
