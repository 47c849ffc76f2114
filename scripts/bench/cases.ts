import type { TempDir } from "../../tests/support/mod.ts";
import { fetchCached, fetchLarge, manySmall } from "./fetch.ts";
import { graphLarge } from "./graph.ts";
import { installEight } from "./install.ts";
import type { Group } from "./rounds.ts";
import { startUp } from "./start_up.ts";

/** What a case takes. */
export interface CaseContext {
  /** For its files. */
  readonly dir: TempDir;
  /** For what else has to go when it is done. */
  readonly resources: AsyncDisposableStack;
}

/** A case: makes what it needs, and tells what is to be measured. */
export type Case = (context: CaseContext) => Promise<readonly Group[]>;

/** The cases by name. */
export const CASES: ReadonlyMap<string, Case> = new Map<string, Case>([
  ["start-up", startUp],
  ["graph-10000", graphLarge],
  ["fetch-cached", fetchCached],
  ["many-small", manySmall],
  ["fetch-200mb", fetchLarge],
  ["install-eight", installEight],
]);
