import { TarError, utf8 } from "./tar_header.ts";
import type { TarEntry } from "./tar_reader.ts";

/** Where a file's content and all else of it is: the number of its layer, and its own in that. */
interface Place {
  readonly layer: number;
  readonly member: number;
  readonly entry: Pick<TarEntry, "type" | "uid" | "gid">;
}

/** A file, a folder, or whatever else may stand under a name. */
type Inode =
  | { readonly kind: "folder"; place?: Place | undefined; readonly children: Children }
  | { readonly kind: "link"; readonly place: Place; readonly target: string }
  | { readonly kind: "other"; readonly place: Place };
type Folder = Extract<Inode, { kind: "folder" }>;
type Children = Map<string, { readonly inode: Inode; readonly layer: number }>;

/** What is in a tree, member by member of its layers. */
export interface LayerPlan {
  /** The paths of each member that is in the tree, by its layer and its own number. */
  readonly members: readonly ReadonlyMap<number, readonly string[]>[];
  /** Folders that no layer says anything of. */
  readonly implied: readonly string[];
  /** Whether a layer says something of the root of the tree. */
  readonly hasRoot: boolean;
  /** Something of another owner than root, if there is any. */
  readonly owned?:
    | { readonly path: string; readonly uid: number; readonly gid: number }
    | undefined;
  /** A device, if there is any. */
  readonly device?: string;
}

const WHITEOUT = ".wh.";
/** What it begins with is of AUFS, but for the next one. */
const META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";
const MAX_LINKS = 40;
/** Linux takes no path that is longer, in bytes, and so has no folders that are deeper. */
const MAX_PATH = 4095;
const KINDS: Readonly<Record<string, Inode["kind"]>> = {
  "0": "other",
  "2": "link",
  "3": "other",
  "4": "other",
  "5": "folder",
  "6": "other",
};

/**
 * Puts the layers of an image over each other, as names: which members of which layers are in its
 * tree, and where. Links are followed as a process does that has the tree as its root, so that
 * nothing is outside it, whatever layers say.
 * Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#applying-changesets
 */
export class LayerStack {
  readonly #root: Folder = { kind: "folder", children: new Map() };
  #layer = -1;
  #member = 0;

  /** Begins the next layer. */
  next(): void {
    this.#layer++;
    this.#member = 0;
  }

  /**
   * Takes the next member of the layer.
   *
   * @param entry The member.
   * @throws {TarError} If it would be outside the tree, or cannot be where it says.
   */
  add(entry: TarEntry): void {
    const place = { layer: this.#layer, member: this.#member++, entry: only(entry) };
    const parts = partsOf(entry.path);
    const name = parts.pop();
    if (parts.some((part) => part.startsWith(META))) return;
    if (name === undefined) {
      if (entry.type !== "5") throw new TarError("the root of the tree is no folder");
      this.#root.place = place;
    } else if (name === OPAQUE) {
      this.#clear(this.#folder(parts, true));
    } else if (name.startsWith(META)) {
      return;
    } else if (name.startsWith(WHITEOUT)) {
      const deleted = name.slice(WHITEOUT.length);
      if (["", ".", ".."].includes(deleted)) {
        throw new TarError(`"${utf8(entry.path)}" deletes nothing that has a name`);
      }
      this.#delete(this.#folder(parts, false), deleted);
    } else {
      this.#set(this.#folder(parts, true), name, entry, place);
    }
  }

  /**
   * Tells what is in the tree.
   *
   * @param isLeftOut Whether a path is, with all below it; none is if absent.
   * @returns The members, with their paths.
   */
  plan(isLeftOut?: (path: string) => boolean): LayerPlan {
    const members = Array.from({ length: this.#layer + 1 }, () => new Map<number, string[]>());
    const implied: string[] = [];
    const needs: { owned?: LayerPlan["owned"]; device?: string } = {};
    const note = (path: string, { layer, member, entry: { type, uid, gid } }: Place) => {
      const paths = members[layer]?.get(member) ?? [];
      members[layer]?.set(member, [...paths, path]);
      if (uid !== 0 || gid !== 0) needs.owned ??= { path: utf8(path), uid, gid };
      if (type === "3" || type === "4") needs.device ??= utf8(path);
    };
    const visit = (folder: Folder, above: string) => {
      for (const [name, { inode }] of [...folder.children].sort(byName)) {
        const path = `${above}${name}`;
        if (path.length > MAX_PATH) {
          throw new TarError(`"${utf8(path).slice(0, 100)}…" is too long`);
        }
        if (isLeftOut?.(utf8(path))) continue;
        if (inode.place) note(path, inode.place);
        else implied.push(path);
        if (inode.kind === "folder") visit(inode, `${path}/`);
      }
    };
    if (this.#root.place) note(".", this.#root.place);
    visit(this.#root, "");
    return { members, implied, hasRoot: this.#root.place !== undefined, ...needs };
  }

  #set({ children }: Folder, name: string, entry: TarEntry, place: Place): void {
    const { type } = entry;
    const there = children.get(name)?.inode;
    const put = (inode: Inode) => void children.set(name, { inode, layer: this.#layer });
    if (type === "1") return put(this.#linked(entry));
    const kind = KINDS[type];
    if (kind === undefined) {
      throw new TarError(`"${utf8(entry.path)}" is of a type that engines do not know: "${type}"`);
    }
    if (kind === "link") return put({ kind, place, target: entry.target });
    if (kind === "other") return put({ kind, place });
    if (there?.kind !== "folder") return put({ kind, place, children: new Map() });
    there.place = place;
    put(there);
  }

  /** What a hard link leads to. */
  #linked({ path, target }: TarEntry): Inode {
    const parts = partsOf(target);
    const name = parts.pop() ?? "";
    const inode = this.#folder(parts, false)?.children.get(name)?.inode;
    if (inode && inode.kind !== "folder") return inode;
    const what = inode ? "a folder" : "nothing";
    throw new TarError(`"${utf8(path)}" is a hard link to ${what}: "${utf8(target)}"`);
  }

  #folder(parts: readonly string[], makes: true): Folder;
  #folder(parts: readonly string[], makes: boolean): Folder | undefined;
  #folder(parts: readonly string[], makes: boolean): Folder | undefined {
    const rest = [...parts].reverse();
    const above = [this.#root];
    for (let links = 0; rest.length > 0;) {
      const part = rest.pop() ?? "";
      const current = above.at(-1) ?? this.#root;
      if (above.length > MAX_PATH / 2) throw new TarError(`"${utf8(parts[0] ?? "")}" is too deep`);
      if (part === "" || part === ".") continue;
      if (part === "..") {
        if (above.length > 1) above.pop();
        continue;
      }
      const inode = current.children.get(part)?.inode;
      if (!inode) {
        if (!makes) return undefined;
        const folder: Folder = { kind: "folder", children: new Map() };
        current.children.set(part, { inode: folder, layer: this.#layer });
        above.push(folder);
      } else if (inode.kind === "folder") {
        above.push(inode);
      } else if (inode.kind === "link") {
        if (++links > MAX_LINKS) throw new TarError(`too many links in "${utf8(parts.join("/"))}"`);
        if (inode.target.startsWith("/")) above.splice(1);
        rest.push(...inode.target.split("/").reverse());
      } else if (makes) {
        throw new TarError(
          `"${utf8(parts.join("/"))}" is below what is no folder: "${utf8(part)}"`,
        );
      } else {
        return undefined;
      }
    }
    return above.at(-1);
  }

  /** Deletes what earlier layers have in a folder. */
  #clear(folder: Folder): void {
    for (const name of [...folder.children.keys()]) this.#delete(folder, name);
  }

  /** Deletes what earlier layers have under a name: a deletion is never one of its own layer. */
  #delete(folder: Folder | undefined, name: string): void {
    const there = folder?.children.get(name);
    if (!folder || !there) return;
    const { inode, layer } = there;
    const isOwn = layer === this.#layer;
    if (inode.kind === "folder") {
      this.#clear(inode);
      if (isOwn) return;
      if (inode.children.size > 0) {
        inode.place = undefined;
        folder.children.set(name, { inode, layer: this.#layer });
        return;
      }
    }
    if (!isOwn) folder.children.delete(name);
  }
}

function only({ type, uid, gid }: TarEntry): Place["entry"] {
  return { type, uid, gid };
}

/** The parts of a path in an archive; all of them start at the root of the tree. */
function partsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new TarError(`"${utf8(path)}" leads out of the tree`);
  return parts;
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}
