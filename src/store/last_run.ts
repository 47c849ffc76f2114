import { join } from "@std/path";
import * as v from "valibot";
import { described } from "../../config/schema_parts.ts";
import { guard, writeAtomically } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { LAST_RUN } from "./own_folders.ts";
import type { Store } from "./store.ts";

/** What became of an item in a run. */
export interface RunStep {
  /** Key of its node, such as `source/app`. */
  readonly key: string;
  /** Its name in the config; with its platform, where a source has several. */
  readonly name: string;
  /** What became of it; `unfinished` where the run ended before. */
  readonly status: "cached" | "fetched" | "ran" | "failed" | "skipped" | "unfinished";
  /** When the run first told of it, as ISO 8601 has it: it does not tell how long an item waits. */
  readonly start: string;
  /** When it was done, or the run ended, as ISO 8601 has it. */
  readonly end: string;
  /** Bytes that came over the wire for it; absent where none did. */
  readonly fetched?: number;
}

/** What the last run on a store did. */
export interface LastRun {
  /** What was run. */
  readonly action: "fetch" | "build";
  /** When it began, as ISO 8601 has it. */
  readonly start: string;
  /** When it ended, as ISO 8601 has it. */
  readonly end: string;
  /** What became of the items, in the order in which the run first told of them. */
  readonly steps: readonly RunStep[];
}

const Time = v.pipe(v.string(), v.isoTimestamp());

/** The schema of what is kept of a run. */
export const LastRunSchema: v.GenericSchema<LastRun> = v.object({
  action: described(v.picklist(["fetch", "build"]), "What was run"),
  start: described(Time, "When it began, as ISO 8601 has it"),
  end: described(Time, "When it ended, as ISO 8601 has it"),
  steps: described(
    v.array(v.object({
      key: described(v.string(), "Key of its node, such as source/app"),
      name: described(
        v.string(),
        "Its name in the config; with its platform, where a source has several",
      ),
      status: described(
        v.picklist(["cached", "fetched", "ran", "failed", "skipped", "unfinished"]),
        "What became of it; unfinished where the run ended before",
      ),
      start: described(Time, "When the run first told of it, as ISO 8601 has it"),
      end: described(Time, "When it was done, or the run ended, as ISO 8601 has it"),
      fetched: v.exactOptional(
        described(
          v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
          "Bytes that came over the wire for it; absent where none did",
        ),
      ),
    })),
    "What became of the items, in the order in which the run first told of them",
  ),
});

const FileSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ schema: v.literal(1), run: LastRunSchema }),
);

/**
 * Reads what the last run on a store did.
 *
 * @param store The store.
 * @returns The run; `undefined` where none is recorded, or another version has written it.
 * @throws {StoreError} If it is there and cannot be read.
 */
export async function readLastRun({ path }: Store): Promise<LastRun | undefined> {
  const file = join(path, LAST_RUN);
  const bytes = await guard("read", file, () => readRegular(file, MAX_JSON));
  const read = bytes && v.safeParse(FileSchema, new TextDecoder().decode(bytes));
  return read?.success ? read.output.run : undefined;
}

/**
 * Keeps what a run did, in place of the run before.
 *
 * @param store The store.
 * @param run The run.
 * @throws {StoreError} If the store cannot be written.
 */
export async function writeLastRun(store: Store, run: LastRun): Promise<void> {
  await using workspace = await store.workspace();
  const file = join(store.path, LAST_RUN);
  const text = `${JSON.stringify({ schema: 1, run })}\n`;
  await guard("write", file, () => writeAtomically(file, text, workspace.path));
}
