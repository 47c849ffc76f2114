import { dirname, join, resolve } from "@std/path";
import * as v from "valibot";
import { StoreError, ToolError, UsageError } from "../errors.ts";
import type { StageResult } from "../events.ts";
import { guard, list, lockFolder, readIfThere, writeAtomically } from "../store/files.ts";
import { copyInto, removeTree } from "../tools/tree.ts";

const MARK = ".stowage.json";
const NEXT = ".stowage-next-";
const MarkSchema = v.object({ schema: v.literal(1), stages: v.array(v.string()) });

/**
 * Puts results at `<out>/<stage>`, each at once, in place of what an earlier build has put there.
 *
 * @param results The stages whose trees are results.
 * @param out The folder.
 * @param signal Ends the run.
 * @returns The folder of each result, by name of the stage.
 * @throws {UsageError} If something is there that no earlier build has put there.
 * @throws {StoreError} If the folder cannot be written.
 * @throws {InterruptedError} If the signal was aborted; each result is then either old or new.
 */
export async function placeResults(
  results: readonly StageResult[],
  out: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const folder = resolve(out);
  const placed: Record<string, string> = {};
  await guard("put results into", folder, () => Deno.mkdir(folder, { recursive: true }));
  // Of several builds one is at work here at a time, so that what another has left is known as such.
  using _lock = await guard("lock", folder, () => lockFolder(folder));
  for (const left of (await list(folder)).filter((each) => each.startsWith(NEXT))) {
    await removeTree(join(folder, left)).catch(() => {});
  }
  const mark = join(folder, MARK);
  let ours = await readMark(mark);
  for (const { name, tree } of results) {
    if (tree === undefined) continue;
    const target = join(folder, name);
    if (!ours.includes(name)) {
      if (await isThere(target)) {
        throw new UsageError(`Cannot put "${name}" at "${target}": something else is there`, {
          hint: "it is not of an earlier build: move it away, or choose another --out",
        });
      }
      ours = [...ours, name];
      const text = JSON.stringify({ schema: 1, stages: ours });
      await guard("write", mark, () => writeAtomically(mark, `${text}\n`));
    }
    await replace(tree, target, signal);
    placed[name] = target;
  }
  return placed;
}

async function readMark(path: string): Promise<readonly string[]> {
  const bytes = await readIfThere(path);
  if (!bytes) return [];
  const text = new TextDecoder().decode(bytes);
  const mark = v.safeParse(v.pipe(v.string(), v.parseJson(), MarkSchema), text);
  if (mark.success) return mark.output.stages;
  throw new StoreError(
    "STORE_FAILED",
    path,
    `Cannot read "${path}": it is not as stowage writes it`,
  );
}

async function replace(tree: string, target: string, signal: AbortSignal): Promise<void> {
  const next = join(dirname(target), `${NEXT}${crypto.randomUUID()}`);
  const old = `${next}.old`;
  try {
    await guard("put a result at", target, () => Deno.mkdir(next));
    // Not linked: what someone does to a result must not reach the tree that is kept.
    await copyInto(tree, next, { signal }).catch((error) => {
      if (!(error instanceof ToolError)) throw error;
      const [why = ""] = error.stderr.split("\n");
      const isFull = /no space left|quota exceeded/i.test(error.stderr);
      const code = isFull ? "STORE_FULL" : "STORE_FAILED";
      throw new StoreError(code, target, `Cannot put a result at "${target}": ${why}`, error);
    });
    await guard("put a result at", target, async () => {
      const hasOld = await isThere(target);
      if (hasOld) await Deno.rename(target, old);
      await Deno.rename(next, target).catch(async (error) => {
        if (hasOld) await Deno.rename(old, target);
        throw error;
      });
    });
  } finally {
    for (const path of [next, old]) await removeTree(path).catch(() => {});
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
