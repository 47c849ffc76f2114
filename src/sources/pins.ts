import type { Run } from "../run.ts";
import { LockError } from "../errors/mod.ts";

/** An item that nothing pins. */
export interface UnpinnedItem {
  /** Its name; with its platform, where it has several. */
  readonly name: string;
  /** Its name in the config. */
  readonly source: string;
  /** Why the lock does not say which image it is, where there is one that does not. */
  readonly unlocked?: string;
}

/** Asks for pins, as the config's `digests` says: by an error, by a notice, or not at all. */
export class Pins {
  readonly #asked = new Set<string>();

  /**
   * @param context What the run gives.
   */
  constructor(private readonly context: Pick<Run, "digests" | "emit">) {}

  /**
   * Asks for a pin, once a source.
   *
   * @param item The item.
   * @param digest The digest that would pin it.
   * @throws {LockError} If sources have to be pinned.
   */
  ask({ name, source, unlocked }: UnpinnedItem, digest: string): void {
    const { digests, emit } = this.context;
    const hint = `add digest: "${digest}" to sources.${source}, or run \`stowage lock\``;
    const why = unlocked === undefined ? "" : ` (${unlocked})`;
    if (digests === "require") {
      const message = `Cannot accept "${name}": nothing pins it${why}`;
      throw new LockError("LOCK_MISSING", message, [], { hint });
    }
    if (digests === "ignore" || this.#asked.has(source)) return;
    this.#asked.add(source);
    const message = `nothing pins "${source}"${why}: ${hint}`;
    emit({ type: "notice", code: "UNPINNED", message });
  }
}
