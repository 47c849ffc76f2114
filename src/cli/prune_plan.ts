import * as v from "valibot";
import { closed, Digest } from "../../config/schema_parts.ts";
import type { Planned, Pruned } from "../carry/prune.ts";
import { UsageError } from "../errors/mod.ts";
import { guard, writeAtomically } from "../lib/fs/files.ts";
import { readOutside, refuseOddOutput } from "../lib/fs/outside_file.ts";
import { readAs } from "../lib/json.ts";

const PlanSchema = closed({
  schema: v.literal(1, "1"),
  delete: v.array(closed({ target: v.string(), digest: Digest })),
});

/** How large the file may be, in bytes. */
const MAX_PLAN = 64 * 2 ** 20;

/**
 * Writes what would be deleted: at any moment, the old plan or the new one is there as a whole.
 *
 * @param path The file.
 * @param pruned What becomes of each.
 * @throws {UsageError} If what is there is no regular file.
 * @throws {StoreError} If it cannot be written.
 */
export async function writePrunePlan(path: string, pruned: readonly Pruned[]): Promise<void> {
  const planned = pruned.filter(({ status }) => status === "delete")
    .map(({ target, digest }) => ({ target, digest }));
  const plan: v.InferOutput<typeof PlanSchema> = { schema: 1, delete: planned };
  await refuseOddOutput(path);
  await guard("write", path, async () => {
    await writeAtomically(path, `${JSON.stringify(plan, undefined, 2)}\n`);
  });
}

/**
 * Reads a plan.
 *
 * @param path The file.
 * @returns What it says is to be deleted.
 * @throws {UsageError} If it cannot be read, or is none.
 */
export async function readPrunePlan(path: string): Promise<Planned[]> {
  const refuse = (why: string, cause?: unknown) =>
    new UsageError(`Cannot use "${path}" as a plan: ${why}`, {
      hint: "make it with --prune --dry-run --plan FILE",
      cause,
    });
  const bytes = await readOutside(path, MAX_PLAN).catch((error) => {
    throw error instanceof Error ? refuse(error.message, error) : error;
  });
  const read = readAs(PlanSchema, bytes, MAX_PLAN);
  if ("reason" in read) throw refuse(`it ${read.reason}`);
  return read.value.delete.map((each) => ({ ...each, status: "delete" }));
}
