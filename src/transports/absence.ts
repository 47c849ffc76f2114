import type { Attempt, AttemptReason } from "../errors/mod.ts";

/** What to do about wrong bytes. */
export const DAMAGED =
  "what the place serves is damaged or not what its manifest says; tell who runs it";

/** What else may be known of a failure. */
export interface PlaceErrorOptions {
  /** Whether the same may work in a moment. */
  readonly isTransient?: boolean;
  /** What to do next, where more is known than the reason says. */
  readonly hint?: string | undefined;
  /** Whether it is of the manifest, and not of what that names. */
  readonly isOfManifest?: boolean;
}

/** A place did not give what it was asked for. It never leaves stowage. */
export abstract class PlaceError extends Error {
  /** Whether the same may work in a moment. */
  readonly isTransient: boolean;
  /** What to do next, where more is known than the reason says. */
  readonly hint: string | undefined;
  /** Whether it is of the manifest, and not of what that names. */
  readonly isOfManifest: boolean;

  /**
   * @param reason Why not, in a word; `unsupported` where only skopeo knows how to ask.
   * @param message Why not; without secrets, also those that a URL may have.
   * @param options What else is known.
   */
  constructor(
    readonly reason: AttemptReason | "unsupported",
    message: string,
    { isTransient = false, hint, isOfManifest = false }: PlaceErrorOptions = {},
  ) {
    super(message);
    this.isTransient = isTransient;
    this.hint = hint;
    this.isOfManifest = isOfManifest;
  }

  /**
   * As an error tells it that names all places.
   *
   * @param place Its transport and its label.
   * @returns What became of the place.
   */
  at({ transport, label }: { readonly transport: string; readonly label: string }): Attempt {
    const { message, hint } = this;
    const reason = this.reason === "unsupported" ? "unreachable" : this.reason;
    return { transport, reference: label, reason, message, ...(hint && { hint }) };
  }
}

/** A place does not have the image: the next one is tried. */
export class Absence extends PlaceError {
  /**
   * @param reason Why not, in a word.
   * @param message Why not, in the tool's words.
   * @param options What else is known.
   */
  constructor(
    override readonly reason: AttemptReason,
    message: string,
    options?: PlaceErrorOptions,
  ) {
    super(reason, message, options);
  }
}
