const QUOTED = 16 * 2 ** 10;

/** The log of a stage: a file beside its tree, and its last lines for errors. */
export class StageLog implements AsyncDisposable {
  #text = "";
  #pending: Promise<unknown> = Promise.resolve();

  private constructor(private readonly file: Deno.FsFile) {}

  /**
   * Opens the log of a pipeline's tree.
   *
   * @param path The file; the stages of a pipeline share it.
   * @param stage Name of the stage that begins.
   * @returns The log.
   */
  static async open(path: string, stage: string): Promise<StageLog> {
    await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true, mode: 0o755 });
    const log = new StageLog(await Deno.open(path, { append: true, create: true, mode: 0o644 }));
    log.add(`== ${stage}`);
    return log;
  }

  /** The last lines. */
  get text(): string {
    return this.#text;
  }

  /**
   * Adds to the log.
   *
   * @param text Some lines.
   */
  add(text: string): void {
    const lines = text.endsWith("\n") ? text : `${text}\n`;
    this.#text = (this.#text + lines).slice(-QUOTED);
    const bytes = new TextEncoder().encode(lines);
    this.#pending = this.#pending.then(() => this.file.write(bytes));
  }

  /** Writes what is left and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#pending;
    } finally {
      this.file.close();
    }
  }
}
