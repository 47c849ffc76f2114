import { dirname } from "@std/path";
import { guard } from "../lib/fs/files.ts";

const QUOTED = 16 * 2 ** 10;
/** What a program says without end must not fill the store; in characters. */
const MAX_LOG = 64 * 2 ** 20;

/** The log of a stage: a file beside its tree, and its last lines for errors. */
export class StageLog implements AsyncDisposable {
  #text = "";
  #size = 0;
  #pending: Promise<void> = Promise.resolve();

  private constructor(private readonly path: string) {}

  /**
   * Opens the log of a pipeline's tree.
   *
   * @param path The file; the stages of a pipeline share it.
   * @param stage Name of the stage that begins.
   * @returns The log.
   * @throws {StoreError} If its folder cannot be made.
   */
  static async open(path: string, stage: string): Promise<StageLog> {
    const folder = dirname(path);
    const make = () => Deno.mkdir(folder, { recursive: true, mode: 0o755 });
    await guard("make the folder", folder, make);
    const log = new StageLog(path);
    log.add(`== ${stage}`);
    return log;
  }

  /** The last lines. */
  get text(): string {
    return this.#text;
  }

  /**
   * Adds whole lines.
   *
   * @param text Some lines.
   */
  add(text: string): void {
    const start = this.#text === "" || this.#text.endsWith("\n") ? "" : "\n";
    this.append(`${start}${text}${text === "" || text.endsWith("\n") ? "" : "\n"}`);
  }

  /**
   * Adds what a program says, as it comes. Of what is longer than 64 Mi characters, the file has the first and
   * the last.
   *
   * @param text Some text.
   * @returns Fulfilled when it is written.
   */
  append(text: string): Promise<void> {
    this.#text = (this.#text + text).slice(-QUOTED);
    this.#size += text.length;
    return this.#size > MAX_LOG ? Promise.resolve() : this.#write(text);
  }

  #write(text: string): Promise<void> {
    return this.#pending = this.#pending
      .then(() => Deno.writeTextFile(this.path, text, { append: true, mode: 0o644 }))
      // A stage does not fail for its log: where there is no room for it, its tree will say so.
      .catch(() => {});
  }

  /** Waits until all is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#size > MAX_LOG) this.#write(`\n… the log is too long; its end is:\n${this.#text}`);
    await this.#pending;
  }
}
