import type { AttemptReason } from "../errors/mod.ts";

/** What a status means for who has asked. */
export interface StatusMeaning {
  /** Why there is no answer to what was asked. */
  readonly reason: AttemptReason;
  /** Whether the same may work in a moment. */
  readonly isTransient: boolean;
}

/** Any other means that what answers is no registry, or one that is ill. */
const REASONS: ReadonlyMap<number, AttemptReason> = new Map<number, AttemptReason>([
  ...[404, 410].map((status) => [status, "unknown"] as const),
  ...[401, 402, 403, 407, 451].map((status) => [status, "denied"] as const),
  [429, "rate-limited"],
]);

/**
 * Says what a status of HTTP means that is no success.
 *
 * @param status The status.
 * @returns Why there is no answer, and whether to ask again.
 */
export function judgeStatus(status: number): StatusMeaning {
  const isTransient = status >= 500 || [408, 425, 429].includes(status);
  return { reason: REASONS.get(status) ?? "unreachable", isTransient };
}
