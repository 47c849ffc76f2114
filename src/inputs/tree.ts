import { resolve } from "@std/path";
import type {
  FolderInput,
  StageTreeInput,
  TreeAttributes,
  TreeInput,
  TreePatterns,
} from "../../config/mod.ts";
import { StageError } from "../errors/mod.ts";
import type { TarMember } from "../lib/archive/tar_editor.ts";
import { hashOf } from "../lib/hash/hash.ts";
import { PathSample } from "../lib/path_sample.ts";
import { checkTree, type InputContext, type InputKind } from "./input_kind.ts";

/** A folder on disk, or the tree of a stage. */
export const tree: InputKind<TreeInput> = {
  gives: "trees",
  describe: (input) => isOfStage(input) ? "tree" : `tree ${input.path}`,
  needs: (input) =>
    isOfStage(input) ? [{ section: "stages", name: input.stage, path: "stage" }] : [],
  check: (input, around) => isOfStage(input) ? checkTree(input.stage, around) : [],
  images: () => [],
  folder: (input) => isOfStage(input) ? undefined : input.path,
  meaning: (input) => ({
    ...patternsOf(input),
    ...attributesOf(input),
    ...(!isOfStage(input) && { path: input.path }),
  }),
  async resolve(input, context) {
    const { name } = context;
    const [patterns, attributes] = [patternsOf(input), attributesOf(input)];
    const { path, stageId, fingerprint, epoch } = isOfStage(input)
      ? ofStage(input, context)
      : await ofDisk(input, context);
    if (patterns?.include) await checkIncludes(path, patterns, context);
    const date = await dateOf(input, path, epoch, context);
    const id = stageId === undefined
      ? await digestOf(path, date, patterns, attributes, context)
      : hashOf({ kind: "tree", stageId, ...patterns, ...attributes });
    return {
      id,
      ...(date !== undefined && { date }),
      input: {
        name,
        kind: "tree",
        path,
        ...(patterns && { patterns }),
        ...(attributes && { attributes }),
        ...(date !== undefined && { date }),
        ...(fingerprint !== undefined && { fingerprint }),
        ...(stageId !== undefined && { hasRoot: true }),
      },
    };
  },
};

function isOfStage(input: TreeInput): input is StageTreeInput {
  return "stage" in input;
}

function patternsOf({ include, exclude }: TreeInput): TreePatterns | undefined {
  if (!include && !exclude) return undefined;
  return { ...(include && { include }), ...(exclude && { exclude }) };
}

function attributesOf({ dates, owner, group, mode }: TreeInput): TreeAttributes | undefined {
  const told = {
    ...(dates && dates !== "epoch" && { dates }),
    ...(owner !== undefined && { owner }),
    ...(group !== undefined && { group }),
    ...(mode && mode !== "keep" && { mode }),
  };
  return Object.keys(told).length > 0 ? told : undefined;
}

/** A folder that is read. */
interface Folder {
  readonly path: string;
  /** Id of the stage whose tree it is. */
  readonly stageId?: string;
  /** The time that the stage has dated what is new to, in seconds since 1970. */
  readonly epoch?: number;
  /** What a folder of others is like. */
  readonly fingerprint?: string;
}

function ofStage({ stage }: StageTreeInput, { name, tree }: InputContext): Folder {
  const made = tree(`stage/${stage}`);
  if (!made) throw new StageError(name, `stage "${stage}" keeps no tree`, { kind: "input" });
  return { path: made.tree, stageId: made.id, epoch: made.epoch };
}

async function ofDisk(
  { path: folder, owner }: FolderInput,
  { name, root, store, note, signal }: InputContext,
): Promise<Folder> {
  const path = resolve(root, folder);
  const kind = "input";
  if (store === path || store.startsWith(`${path}/`)) {
    throw new StageError(name, `the store is in the folder "${path}"`, {
      kind,
      hint: "choose a folder beside it, or another store with --store or STOWAGE_STORE",
    });
  }
  const info = await Deno.stat(path).catch(() => undefined);
  if (!info?.isDirectory) {
    const hint = `paths are relative to the config; see inputs.${name}.path`;
    throw new StageError(name, `there is no folder "${path}"`, { kind, hint });
  }
  if (info.uid && owner === undefined && Deno.uid() === 0) {
    note({ code: "FOREIGN_OWNER", user: info.uid });
  }
  const { fingerprint } = await import("../tools/tree.ts");
  return { path, fingerprint: await fingerprint(path, { signal, changes: true }) };
}

/**
 * One time for all of its files would make a changed file look unchanged to servers and caches, which
 * go by time and size: each tree has the time that it was changed.
 */
async function dateOf(
  input: TreeInput,
  path: string,
  made: number | undefined,
  { epoch, signal, note }: InputContext,
): Promise<number | undefined> {
  if (epoch !== undefined) return undefined;
  if (input.dates === "epoch") return 0;
  if (made !== undefined) return made;
  if (input.dates === "keep") return undefined;
  const { treeDate } = await import("../tools/tree_date.ts");
  const { date, doubt } = await treeDate(path, patternsOf(input), signal);
  if (doubt !== undefined) note({ code: "UNDATED", doubt });
  return date;
}

/** What a user namespace shows for an owner that it does not have, unless set otherwise. */
const UNMAPPED = 65534;

async function digestOf(
  path: string,
  date: number | undefined,
  patterns: TreePatterns | undefined,
  attributes: TreeAttributes | undefined,
  { epoch, signal, note, name }: InputContext,
): Promise<string> {
  const [{ treeDigest }, { findIsolation }] = await Promise.all([
    import("../tools/tar.ts"),
    import("../tools/sandbox.ts"),
  ]);
  const { owner: user, group } = attributes ?? {};
  const isMapped = await findIsolation() === "user";
  const onMember = ({ path, owner: { uid, gid } }: TarMember) => {
    if ((user ?? uid) !== UNMAPPED && (group ?? gid) !== UNMAPPED) return;
    const why = `"${path}" belongs to another user or group, and this user cannot keep that`;
    const hint =
      "say owner: 0 and group: 0 if root is meant, leave it out with exclude, or run it " +
      "as root that may mount";
    throw new StageError(name, why, { kind: "input", hint });
  };
  const sockets = new PathSample();
  const onSocket = (path: string) => sockets.add(path);
  const digest = await treeDigest(path, {
    ...{ patterns, attributes, onSocket, signal, ...(isMapped && { onMember }) },
    // Where all have that date, stages have it in their ids.
    epoch: date ?? (attributes?.dates === "clamp" ? epoch ?? 0 : 0),
  });
  if (sockets.count > 0) note({ code: "LEFT_OUT", sockets: `${sockets}` });
  return digest;
}

/** A pattern that matches nothing has a mistake, and what it was to bring would be missed later. */
async function checkIncludes(
  path: string,
  patterns: TreePatterns,
  { name, signal }: InputContext,
): Promise<void> {
  const { listPaths } = await import("../tools/tree_paths.ts");
  const [missing] = await listPaths(path, patterns, new WritableStream(), signal);
  if (missing === undefined) return;
  throw new StageError(name, `nothing in the tree is "${missing}", or it is all excluded`, {
    kind: "input",
    hint: `patterns start at the root of the tree; see inputs.${name}.include`,
  });
}
