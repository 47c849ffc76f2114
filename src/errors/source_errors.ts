import { oneLine, StowageError } from "./base.ts";

/** Why an image could not be had from one place. */
export type AttemptReason =
  | "unreachable"
  | "unknown"
  | "denied"
  | "rate-limited"
  | "stalled"
  | "offline";

/** One place that an image could not be had from. */
export interface Attempt {
  /** The transport, such as `docker`. */
  readonly transport: string;
  /** The place as skopeo was told it, such as `docker://quay.io/acme/app:1.4`. */
  readonly reference: string;
  /** Why not, in a word. */
  readonly reason: AttemptReason;
  /** Why not, in the tool's words. */
  readonly message: string;
  /** What to do next, where more is known than the reason says. */
  readonly hint?: string;
}

/** What arrived is not what was asked for; no other place is tried. */
export class ContentError extends StowageError {
  /** The code of this class. */
  override readonly code = "CONTENT_MISMATCH";
  /** Name of the source. */
  readonly item: string;
  /** What was asked for, such as a digest. */
  readonly expected?: string;
  /** What arrived. */
  readonly actual?: string;

  /**
   * @internal
   * @param item Name of the source.
   * @param message What is wrong with what arrived.
   * @param options What was `expected`, what is `actual`, `hint` and `cause`.
   */
  constructor(
    item: string,
    message: string,
    options: { expected?: string; actual?: string; hint?: string; cause?: unknown } = {},
  ) {
    super(`Cannot accept "${item}": ${message}`, options);
    this.item = item;
    if (options.expected !== undefined) this.expected = options.expected;
    if (options.actual !== undefined) this.actual = options.actual;
  }
}

/** An image cannot be had from any of its places. */
export class FetchError extends StowageError {
  /** The code of this class. */
  override readonly code = "FETCH_FAILED";
  /** Name of the source. */
  readonly item: string;
  /** Every place that was tried, in order. */
  readonly attempts: readonly Attempt[];

  /**
   * @internal
   * @param item Name of the source.
   * @param attempts Every place that was tried, in order.
   * @param hint What to do next.
   */
  constructor(item: string, attempts: readonly Attempt[], hint?: string) {
    const lines = attempts.map(({ reference, reason, message }) =>
      `  ${oneLine(reference)}: ${reason}: ${oneLine(message)}`
    );
    super(`Cannot fetch "${item}": no place served it\n${lines.join("\n")}`, { hint });
    this.item = item;
    this.attempts = attempts;
  }
}

/** An image is not offered for the platform that was asked for. */
export class PlatformError extends StowageError {
  /** The code of this class. */
  override readonly code = "PLATFORM_NOT_OFFERED";
  /** Name of the source. */
  readonly item: string;
  /** The platform that was asked for. */
  readonly platform: string;
  /** The platforms that are offered. */
  readonly offered: readonly string[];

  /**
   * @internal
   * @param item Name of the item, and of the source that it belongs to.
   * @param platform The platform that was asked for.
   * @param offered The platforms that are offered.
   */
  constructor(
    { name: item, source }: { readonly name: string; readonly source: string },
    platform: string,
    offered: readonly string[],
  ) {
    const isOneOfSeveral = item !== source;
    const [first, rest] = [offered.slice(0, 30), offered.length - 30];
    const shown = rest > 0 ? [...first, `${rest} others`] : first;
    super(
      `Cannot fetch "${item}" for ${platform}: it is offered for ${shown.join(", ") || "none"}`,
      {
        hint: offered.length > 0
          ? `set platform${isOneOfSeveral ? "s" : ""} of sources.${source} to one of them`
          : "its index names no image: tell who serves it; another tag may be whole",
      },
    );
    this.item = item;
    this.platform = platform;
    this.offered = offered;
  }
}

/** The signature policy, the config's or the machine's, refuses an image. */
export class PolicyError extends StowageError {
  /** The code of this class. */
  override readonly code = "POLICY_REJECTED";
  /** Name of the source. */
  readonly item: string;

  /**
   * @internal
   * @param item Name of the source.
   * @param message Why, in skopeo's words.
   * @param hint What to do next, where the policy is not the machine's.
   */
  constructor(item: string, message: string, hint: string = MACHINE_POLICY_HINT) {
    super(`Cannot accept "${item}": the signature policy refuses it: ${message}`, { hint });
    this.item = item;
  }
}

const MACHINE_POLICY_HINT =
  "see containers-policy.json(5); the policy is /etc/containers/policy.json, or " +
  "~/.config/containers/policy.json where that is there";
