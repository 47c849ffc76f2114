import type { AttemptReason } from "../errors/mod.ts";

/** What to do about wrong bytes. */
export const DAMAGED =
  "what the place serves is damaged or not what its manifest says; tell who runs it";

/** A place does not have the image: the next one is tried. It never leaves this folder. */
export class Absence extends Error {
  /** What to do next, where more is known than the reason says. */
  readonly hint?: string;
  /** Whether it is the manifest that the place does not have. */
  readonly isOfManifest: boolean;

  /**
   * @param reason Why not, in a word.
   * @param message Why not, in the tool's words.
   * @param isTransient Whether the same place may have it in a moment.
   * @param options `hint` (what to do next, where more is known than the reason says), `isOfManifest`
   * and `cause`.
   */
  constructor(
    readonly reason: AttemptReason,
    message: string,
    readonly isTransient: boolean,
    options: {
      readonly hint?: string | undefined;
      readonly isOfManifest?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    if (options.hint !== undefined) this.hint = options.hint;
    this.isOfManifest = options.isOfManifest ?? false;
  }
}
