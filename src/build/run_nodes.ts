import { InterruptedError, StowageError } from "../errors/mod.ts";
import { FairLimit } from "../lib/async/fair_limit.ts";

/** Something to do, when all that it needs is done. */
export interface Unit {
  /** Names it; unique. */
  readonly key: string;
  /** Keys of the units that it needs; they stand before it. */
  readonly needs: readonly string[];
}

/** What became of a unit. */
export type UnitOutcome<Value> =
  | { readonly status: "done"; readonly value: Value }
  | { readonly status: "failed"; readonly error: StowageError }
  | { readonly status: "skipped"; readonly because: string };

/** How units are run. */
export interface RunNodesOptions<Unit, Value> {
  /** How many run side by side. */
  readonly jobs: number;
  /** Of which kind a unit is: one kind does not keep the others waiting. */
  kindOf(unit: Unit): string;
  /** How many run side by side of those that mostly wait for others, and have limits of their own. */
  readonly waiting?: number;
  /** Whether a unit is such a one; none if absent. */
  waits?(unit: Unit): boolean;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** Takes what became of a unit, as soon as that is known. */
  onOutcome(unit: Unit, outcome: UnitOutcome<Value>): void;
}

/**
 * Runs units side by side, each as soon as what it needs is done. One that fails skips only those
 * that need it.
 *
 * @param units The units, each behind those that it needs.
 * @param work Does one; it is given what those that it needs have made, by key.
 * @param options How they are run.
 * @returns What became of each, by key.
 * @throws {InterruptedError} If the run was interrupted; nothing runs any more by then.
 */
export async function runNodes<U extends Unit, Value>(
  units: readonly U[],
  work: (unit: U, made: ReadonlyMap<string, Value>) => Promise<Value>,
  { jobs, waiting = jobs, signal, kindOf, waits, onOutcome }: RunNodesOptions<U, Value>,
): Promise<Map<string, UnitOutcome<Value>>> {
  const [limit, wide] = [new FairLimit(jobs), new FairLimit(waiting)];
  const made = new Map<string, Value>();
  const outcomes = new Map<string, Promise<UnitOutcome<Value>>>();
  let bug: { readonly error: unknown } | undefined;
  const run = async (unit: U): Promise<UnitOutcome<Value>> => {
    for (const need of unit.needs) {
      const outcome = await outcomes.get(need);
      if (outcome && outcome.status !== "done") {
        return { status: "skipped", because: outcome.status === "failed" ? need : outcome.because };
      }
    }
    return await (waits?.(unit) ? wide : limit).run(
      kindOf(unit),
      async (): Promise<UnitOutcome<Value>> => {
        try {
          signal.throwIfAborted();
          const value = await work(unit, made);
          made.set(unit.key, value);
          return { status: "done", value };
        } catch (error) {
          if (error instanceof StowageError) return { status: "failed", error };
          if (!signal.aborted) bug ??= { error };
          return { status: "failed", error: new InterruptedError(signal.reason) };
        }
      },
    );
  };
  for (const unit of units) {
    outcomes.set(
      unit.key,
      run(unit).then((outcome) => {
        if (!signal.aborted && !bug) onOutcome(unit, outcome);
        return outcome;
      }),
    );
  }
  const settled = new Map<string, UnitOutcome<Value>>();
  for (const [key, outcome] of outcomes) settled.set(key, await outcome);
  if (bug) throw bug.error;
  if (signal.aborted) throw new InterruptedError(signal.reason);
  return settled;
}
