import type { Folder } from "./folder.ts";
import { buildOutAgain } from "./build_out.ts";
import { bundleEight } from "./bundle.ts";
import { carryEight } from "./carry.ts";
import {
  fetchEight,
  fetchFar,
  fetchFifty,
  fetchHundred,
  fetchLarge,
  fetchTwenty,
} from "./fetch.ts";
import { graphLarge } from "./graph.ts";
import { installEight } from "./install.ts";
import { memoryOfFetch, memoryOfHuge } from "./memory.ts";
import { ociArchiveLarge } from "./oci_archive.ts";
import { pushEight } from "./push.ts";
import { resumeLarge } from "./resume.ts";
import type { Group } from "./rounds.ts";
import { startUp } from "./start_up.ts";
import { verifyLarge } from "./verify.ts";
import { warmThousand, warmTwenty } from "./warm.ts";

/** What a case takes. */
export interface CaseContext {
  /** For its files. */
  readonly dir: Folder;
  /** For what else has to go when it is done. */
  readonly resources: AsyncDisposableStack;
  /** A size of so many MB (1,000,000 bytes), in bytes; less in a run that tries the bench out. */
  mb(size: number): number;
}

/** A case: makes what it needs, and tells what is to be measured. */
export type Case = (context: CaseContext) => Promise<readonly Group[]>;

/** The cases by name. */
export const CASES: ReadonlyMap<string, Case> = new Map<string, Case>([
  ["fetch-far", fetchFar], // first, as it is what users have
  ["fetch-twenty", fetchTwenty],
  ["start-up", startUp],
  ["graph-10000", graphLarge],
  ["fetch-200mb", fetchLarge],
  ["fetch-eight", fetchEight],
  ["fetch-fifty", fetchFifty],
  ["fetch-hundred", fetchHundred],
  ["warm-20", warmTwenty],
  ["warm-1000", warmThousand],
  ["resume", resumeLarge],
  ["install-eight", installEight],
  ["push", pushEight],
  ["bundle", bundleEight],
  ["carry", carryEight],
  ["build-out", buildOutAgain],
  ["verify", verifyLarge],
  ["oci-archive", ociArchiveLarge],
  ["memory", memoryOfFetch],
  ["memory-10gb", memoryOfHuge],
]);

/** What runs only where it is named, as it takes long, and much of the disk. */
export const NAMED_ONLY: ReadonlySet<string> = new Set(["memory-10gb"]);
