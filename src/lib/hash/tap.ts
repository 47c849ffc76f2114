import { createHash, type Hash } from "node:crypto";

/** Hashes and counts what passes. */
export class Tap {
  /** Takes what passes. */
  readonly stream: WritableStream<Uint8Array>;
  /** How many bytes have passed. */
  size = 0;
  readonly #hash: Hash = createHash("sha256");

  /**
   * @param to Where it passes on to.
   */
  constructor(to: WritableStream<Uint8Array>) {
    const writer = to.getWriter();
    this.stream = new WritableStream({
      write: (chunk) => {
        this.size += chunk.length;
        this.#hash.update(chunk);
        return writer.write(chunk);
      },
      close: () => writer.close(),
      abort: (reason) => writer.abort(reason),
    });
  }

  /**
   * The digest of all that has passed; to be asked for once.
   *
   * @returns `sha256:` and 64 hex digits.
   */
  digest(): string {
    return `sha256:${this.#hash.digest("hex")}`;
  }
}
