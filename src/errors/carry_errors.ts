import { StowageError } from "./base.ts";
import type { AttemptReason } from "./source_errors.ts";

/** A bundle cannot be taken. */
export class BundleError extends StowageError {
  /**
   * `BUNDLE_DAMAGED` where its bytes are not what they have to be, `BUNDLE_INCOMPLETE` where pieces
   * of it are not at hand, or layers that the receiver has to have, `BUNDLE_UNSIGNED` where no
   * signature by the key that was asked for is there.
   */
  override readonly code: "BUNDLE_DAMAGED" | "BUNDLE_INCOMPLETE" | "BUNDLE_UNSIGNED";
  /** The bundle's file. */
  readonly path: string;
  /** What is wrong or missing: names of pieces, or digests. */
  readonly items: readonly string[];

  /**
   * @internal
   * @param code What kind of failure it is.
   * @param path The bundle's file.
   * @param message Why it cannot be taken.
   * @param options What is wrong or missing (`items`), `hint` and `cause`; and whether some of it was
   * taken.
   */
  constructor(
    code: BundleError["code"],
    path: string,
    message: string,
    options: { items?: readonly string[]; hint?: string; cause?: unknown; hasBegun?: boolean } = {},
  ) {
    const take = options.hasBegun ? "take all of" : "take";
    super(`Cannot ${take} "${path}": ${message}`, { hint: HINTS[code], ...options });
    this.code = code;
    this.path = path;
    this.items = options.items ?? [];
  }
}

const HINTS: Readonly<Record<BundleError["code"], string>> = {
  BUNDLE_DAMAGED: "copy it once more from where it was made",
  BUNDLE_INCOMPLETE: "copy what is missing beside it",
  BUNDLE_UNSIGNED: "ask who made it for its signature, and for their key",
};

const ACTIONS = {
  push: (item: string, target: string) => `push "${item}" to ${target}`,
  prune: (_: string, target: string) => `prune ${target}`,
  read: (item: string, target: string) => `see whether ${target} has "${item}"`,
};

/** A registry did not take what was pushed to it, or does not say what it has. */
export class PushError extends StowageError {
  /** The code of this class. */
  override readonly code = "PUSH_FAILED";
  /** Name of the source. */
  readonly item: string;
  /** The name that it was pushed to. */
  readonly target: string;
  /** Why not, in a word. */
  readonly reason: AttemptReason | "refused";

  /**
   * @internal
   * @param item Name of the source.
   * @param target The name that it was pushed to.
   * @param message Why not, in words.
   * @param options `reason` (why not, in a word; the registry refused it, if absent), `hint`,
   * `cause`, and `doing` (what was done there).
   */
  constructor(
    item: string,
    target: string,
    message: string,
    options: {
      reason?: AttemptReason;
      hint?: string | undefined;
      cause?: unknown;
      doing?: keyof typeof ACTIONS;
    } = {},
  ) {
    super(`Cannot ${ACTIONS[options.doing ?? "push"](item, target)}: ${message}`, options);
    this.item = item;
    this.target = target;
    this.reason = options.reason ?? "refused";
  }
}
