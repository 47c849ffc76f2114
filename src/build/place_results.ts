import { basename, dirname, join, resolve } from "@std/path";
import * as v from "valibot";
import { StoreError, ToolError, UsageError } from "../errors/mod.ts";
import type { StageResult } from "../events.ts";
import { codeOf, guard, list, lockFolder, writeAtomically } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";
import { disinherit } from "../tools/tar.ts";
import { copyInto, fingerprint } from "../tools/tree.ts";

const MARK = ".stowage.json";
const NEXT = ".stowage-next-";
/** What builds have put at the name of one stage. */
const PlacedSchema = v.object({
  /** The folders: the present one and the one before. */
  folders: v.array(v.string()),
  /** The store's tree that the present one is a copy of, and the fingerprint of the copy. */
  copy: v.exactOptional(v.object({ of: v.string(), fingerprint: v.string() })),
});
const MarkSchema = v.object({
  schema: v.picklist([2, 3]),
  stages: v.record(
    v.string(),
    // Schema 2 had no more than the folders.
    v.union([
      PlacedSchema,
      v.pipe(v.array(v.string()), v.transform((folders): Placed => ({ folders }))),
    ]),
  ),
});
type Placed = v.InferOutput<typeof PlacedSchema>;

/** What else may help where results cannot be written. */
const HELP: Readonly<Record<StoreError["code"], string>> = {
  STORE_FAILED: "",
  STORE_FULL: "free some room there, or ",
  STORE_READ_ONLY: "make it writable, or ",
};

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
  try {
    return await placeAll(results, out, signal);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { code, path, message, cause } = error;
    throw new StoreError(code, path, message, { cause, hint: hintFor(error) });
  }
}

function hintFor({ code, cause }: StoreError): string {
  switch (tooLong(cause)) {
    case "out":
      return "choose a shorter --out: paths of the tree get longer by it, and the system has a limit";
    case "tree":
      return "let its stage make shorter paths: these are longer than programs can read";
    default:
      return `${HELP[code]}choose another --out`;
  }
}

/** Which path is too long, where that is why a result cannot be written: the copy's or the tree's. */
function tooLong(cause: unknown): "out" | "tree" | undefined {
  if (codeOf(cause) === "ENAMETOOLONG") return "out";
  if (!(cause instanceof ToolError)) return undefined;
  const why = firstLine(cause);
  if (!/file name too long/i.test(why)) return undefined;
  return why.includes(NEXT) ? "out" : "tree";
}

function firstLine({ stderr }: ToolError): string {
  return stderr.split("\n")[0] ?? "";
}

async function placeAll(
  results: readonly StageResult[],
  out: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const folder = resolve(out);
  const placed: Record<string, string> = {};
  await guard("put results into", folder, () => Deno.mkdir(folder, { recursive: true }));
  // Of several builds one is at work here at a time, so that what another has left is known as such.
  using _lock = await guard("lock", folder, () => lockFolder(folder));
  for (const left of (await list(folder)).filter(isLeft)) {
    await removeTree(join(folder, left)).catch(() => {});
  }
  const mark = join(folder, MARK);
  const ours = await readMark(mark);
  const note = async (name: string, placed: Placed) => {
    ours.set(name, placed);
    const text = JSON.stringify({ schema: 3, stages: Object.fromEntries(ours) });
    await guard("write", mark, () => writeAtomically(mark, `${text}\n`));
  };
  for (const { name, tree } of results) {
    if (tree === undefined) continue;
    const target = join(folder, name);
    const known = ours.get(name);
    const present = await presentOf(target, known);
    placed[name] = target;
    const of = await identify(tree);
    const print = () => fingerprint(target, { signal, strict: true });
    const isThere = present !== undefined && known?.copy !== undefined && known.copy.of === of &&
      known.copy.fingerprint === await print();
    if (isThere) continue;
    const next = await replace(tree, target, signal, async (next) => {
      // Noted before it is in its place: whenever this ends, what is there is known.
      await note(name, { folders: [present, next].flatMap((each) => each ?? []) });
    });
    if (of !== undefined && next !== undefined) {
      await note(name, { folders: [next], copy: { of, fingerprint: await print() } });
    }
  }
  return placed;
}

/** What an earlier build has put at the place of a result; anything else is refused. */
async function presentOf(target: string, known: Placed | undefined): Promise<string | undefined> {
  const present = await identify(target);
  if (present === undefined || known?.folders.includes(present)) return present;
  throw new UsageError(
    `Cannot put "${basename(target)}" at "${target}": something else is there`,
    { hint: "it is not of an earlier build: move it away, or choose another --out" },
  );
}

/**
 * Refuses a folder where results have no room, before there are any.
 *
 * @param names Names of the stages whose trees are results.
 * @param out The folder of the results; it need not be there.
 * @throws {UsageError} If something is there that no earlier build has put there, or if it is no
 * folder.
 * @throws {StoreError} If what earlier builds have noted there cannot be read.
 */
export async function refuseForeign(names: readonly string[], out: string): Promise<void> {
  const folder = resolve(out);
  const info = await Deno.lstat(folder).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isDirectory) {
    throw new UsageError(`Cannot put results into "${out}": it is no folder`, {
      hint: "choose another --out",
    });
  }
  using _lock = await guard("lock", folder, () => lockFolder(folder));
  const ours = await readMark(join(folder, MARK));
  for (const name of names) await presentOf(join(folder, name), ours.get(name));
}

/** Whether a build that was killed has left it: a result or a mark that was not whole yet. */
function isLeft(name: string): boolean {
  return name.startsWith(NEXT) || name.startsWith(`${MARK}.`);
}

/** A folder that results must not be put into. */
export interface Forbidden {
  /** The folder. */
  readonly path: string;
  /** What it is, such as `the store`. */
  readonly what: string;
}

/**
 * Refuses to put results where they would change what they are made of: into the store, which has no
 * room for others' files, or into what an input reads, so that the next build reads them too.
 *
 * @param out The folder of the results; it need not be there.
 * @param forbidden Where they must not be.
 * @throws {UsageError} If the folder is one of those, or in one.
 */
export async function refuseWithin(out: string, forbidden: readonly Forbidden[]): Promise<void> {
  const inside = await realPath(out);
  for (const { path, what } of forbidden) {
    const around = await realPath(path);
    const where = inside === around ? "is" : isWithin(inside, around) ? "is in" : undefined;
    if (where === undefined) continue;
    throw new UsageError(`Cannot put results into "${out}": it ${where} ${what}`, {
      hint: "choose another --out",
    });
  }
}

function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** Without links, as far as the path is there. */
async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  const above = dirname(whole);
  return await Deno.realPath(whole).catch(async () =>
    above === whole ? whole : join(await realPath(above), basename(whole))
  );
}

async function readMark(path: string): Promise<Map<string, Placed>> {
  const bytes = await readRegular(path, MAX_JSON);
  if (!bytes) return new Map();
  const text = new TextDecoder().decode(bytes);
  const mark = v.safeParse(v.pipe(v.string(), v.parseJson(), MarkSchema), text);
  if (mark.success) return new Map(Object.entries(mark.output.stages));
  throw new StoreError(
    "STORE_FAILED",
    path,
    `Cannot read "${path}": it is not as stowage writes it`,
  );
}

async function replace(
  tree: string,
  target: string,
  signal: AbortSignal,
  note: (next: string | undefined) => Promise<void>,
): Promise<string | undefined> {
  const next = join(dirname(target), `${NEXT}${crypto.randomUUID()}`);
  const old = `${next}.old`;
  try {
    await guard("put a result at", target, async () => {
      await Deno.mkdir(next);
      await disinherit(next);
    });
    // Not linked: what someone does to a result must not reach the tree that is kept.
    await copyInto(tree, next, { signal }).catch((error) => {
      if (!(error instanceof ToolError)) throw error;
      const isFull = /no space left|quota exceeded/i.test(error.stderr);
      const code = isFull ? "STORE_FULL" : "STORE_FAILED";
      const message = `Cannot put a result at "${target}": ${firstLine(error)}`;
      throw new StoreError(code, target, message, { cause: error });
    });
    const placed = await identify(next);
    await note(placed);
    await guard("put a result at", target, async () => {
      const hasOld = await identify(target) !== undefined;
      if (hasOld) await Deno.rename(target, old);
      await Deno.rename(next, target).catch(async (error) => {
        if (hasOld) await Deno.rename(old, target);
        throw error;
      });
    });
    return placed;
  } finally {
    for (const path of [next, old]) await removeTree(path).catch(() => {});
  }
}

/** What tells a file or folder from another that takes its place; `undefined` if there is none. */
async function identify(path: string): Promise<string | undefined> {
  const info = await Deno.lstat(path).catch(() => undefined);
  // The number alone is given to another one when it is free.
  return info && `${info.ino}-${info.birthtime?.getTime()}`;
}
