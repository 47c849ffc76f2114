import type { Failures } from "../errors/mod.ts";
import type { Node } from "../graph/node.ts";
import type { Run } from "../run.ts";

/** What was done of a run in another place, before it does the rest. */
export interface AheadResult {
  /** What is left: nodes behind those that they need, without those that have failed. */
  readonly nodes: readonly Node[];
  /** The error of each item that failed, by its key. */
  readonly failures: Failures;
  /** Keys of the items that were skipped, as something that they need failed. */
  readonly skipped: readonly string[];
  /** Keys of the items that are done and are not to come here. */
  readonly cached: readonly string[];
}

/**
 * Does some of a run in another place.
 *
 * @param nodes What is wanted, each node behind those that it needs.
 * @param run The run.
 * @returns What is left.
 * @throws {InterruptedError} If the run was interrupted.
 */
export type Ahead = (nodes: readonly Node[], run: Run) => Promise<AheadResult>;

/** Where nothing is done elsewhere. */
export const nothingAhead: Ahead = (nodes) =>
  Promise.resolve({ nodes, failures: {}, skipped: [], cached: [] });
