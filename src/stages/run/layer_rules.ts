import { StageError } from "../../errors/mod.ts";
import type { TarEdits } from "../../lib/archive/tar_editor.ts";
import { PathSample } from "../../lib/path_sample.ts";

/** What engines take out of a layer, as containers/storage has it; and ACLs. */
const APPLIED = /^(user\..+|security\.(capability|ima)|system\.posix_acl_(access|default))$/;
/** Where overlayfs, and a mount program in its place, keep what they know of a folder. */
const OVERLAY = /^((trusted|user)\.overlay|user\.fuseoverlayfs)\./;
const WHITEOUT = ".wh.";
/** Without a name behind it, it leads to the folder itself, or to the one above. */
const NAMELESS = [WHITEOUT, `${WHITEOUT}.`, `${WHITEOUT}..`];
/** Links that a path goes through, at most. */
const MAX_LINKS = 40;

/** What an earlier layer has at a path. */
interface Earlier {
  readonly type: "folder" | "link" | "file";
  readonly input: string;
  /** Where it leads to, if it is a link. */
  readonly target?: string;
}

/** What is in the layers of an image so far, as far as later ones must not hide it. */
class EarlierLayers {
  readonly #entries = new Map<string, Earlier>();
  readonly #shared = new Map<string, Earlier>();

  /** What is at a path. */
  get(path: string): Earlier | undefined {
    return this.#entries.get(path);
  }

  /** Adds what is at a path. */
  add(path: string, { type, input, target }: Earlier): void {
    const key = `${type} ${input}`;
    // There may be millions of files: all of an input are one.
    const shared = this.#shared.get(key) ?? { type, input };
    this.#shared.set(key, shared);
    this.#entries.set(path, target === undefined ? shared : { type, input, target });
  }

  /** Takes what a whiteout deletes. */
  delete(whiteout: string): void {
    const at = whiteout.lastIndexOf("/") + 1;
    const name = whiteout.slice(at + WHITEOUT.length);
    const isOpaque = name === ".wh..opq";
    const path = isOpaque ? whiteout.slice(0, Math.max(at - 1, 0)) : whiteout.slice(0, at) + name;
    if (this.get(path)?.type === "folder" || isOpaque) {
      const below = path === "" ? "" : `${path}/`;
      for (const each of this.#entries.keys()) {
        if (each.startsWith(below)) this.#entries.delete(each);
      }
    }
    if (!isOpaque) this.#entries.delete(path);
  }

  /** Whether a path leads to a folder, by links or without. */
  isFolder(path: string): boolean {
    const rest = path.split("/").reverse();
    const inside: string[] = [];
    for (let links = 0; rest.length > 0;) {
      const part = rest.pop() ?? "";
      if (part === "" || part === ".") continue;
      if (part === "..") {
        inside.pop();
        continue;
      }
      const { target } = this.get([...inside, part].join("/")) ?? {};
      if (target === undefined) {
        inside.push(part);
        continue;
      }
      if (++links > MAX_LINKS) return false;
      if (target.startsWith("/")) inside.length = 0;
      rest.push(...target.split("/").reverse());
    }
    return inside.length === 0 || this.get(inside.join("/"))?.type === "folder";
  }
}

/** What the layers of an image can have of trees. */
export class LayerRules {
  readonly #earlier = new EarlierLayers();

  /**
   * Has seen no tree yet.
   *
   * @param stage Name of the stage.
   * @param takesWhiteouts Whether a name that begins with `.wh.` is meant to delete a file.
   */
  constructor(private readonly stage: string, private readonly takesWhiteouts: boolean) {}

  /**
   * The rules of the next layer.
   *
   * @param input Name of the input whose tree it is.
   * @param isLast Whether no other layer follows.
   * @returns What is left out of it, and what is refused.
   */
  next(input: string, isLast = false): LayerEdits {
    return new LayerEdits(this.stage, input, this.takesWhiteouts, this.#earlier, isLast);
  }
}

/** What one layer of an image can have of its tree. */
export class LayerEdits implements TarEdits {
  readonly #left = new Map<string, PathSample>();

  /**
   * Has seen nothing yet.
   *
   * @param stage Name of the stage.
   * @param input Name of the input whose tree becomes a layer.
   * @param takesWhiteouts Whether a name that begins with `.wh.` is meant to delete a file.
   * @param earlier What the layers below have; what this one has is added.
   * @param isLast Whether nobody asks what this one has.
   */
  constructor(
    private readonly stage: string,
    private readonly input: string,
    private readonly takesWhiteouts: boolean,
    private readonly earlier: EarlierLayers,
    private readonly isLast: boolean,
  ) {}

  /**
   * Refuses what a layer has another meaning for: a name that begins with `.wh.` deletes a file,
   * the storage of an engine has deleted files of its own, and what takes the place of a folder, or
   * a folder that takes the place of something else, hides all that is there.
   * Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
   */
  readonly onMember: NonNullable<TarEdits["onMember"]> = ({ path, type: kind, target }) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.startsWith(WHITEOUT)) {
      if (this.takesWhiteouts && NAMELESS.includes(name)) {
        throw new StageError(
          this.stage,
          `input "${this.input}" has "${path}", which names nothing: engines delete the folder then`,
          { hint: "put the name of what is to be deleted behind it, or leave it out of the input" },
        );
      }
      if (this.takesWhiteouts && kind === "other") return this.earlier.delete(path);
      if (this.takesWhiteouts) {
        throw new StageError(
          this.stage,
          `input "${this.input}" has "${path}", which is no file: a file of such a name deletes another`,
          { hint: "put an empty file in its place, or leave it out of the input" },
        );
      }
      throw new StageError(
        this.stage,
        `input "${this.input}" has "${path}": in a layer, a name that begins with ".wh." deletes a file`,
        { hint: "rename it, leave it out of the input, or say whiteouts: true if it is meant so" },
      );
    }
    if (kind === "whiteout") this.#refuseStorage(path);
    const type = kind === "other" ? "file" : kind;
    const below = this.earlier.get(path);
    if (below && this.#hides(type, below, path)) {
      const isFollowed = type === "folder" && below.type === "link";
      throw new StageError(
        this.stage,
        `input "${this.input}" has a ${type} where input "${below.input}" has a ${below.type}: ` +
          `"${path}" would hide what is there`,
        {
          hint: isFollowed
            ? "copy both into one tree with copyTree, which follows links of the tree"
            : "leave one of them out, with exclude",
        },
      );
    }
    if (this.isLast) return;
    const told = target === undefined ? {} : { target };
    this.earlier.add(path, { type, input: this.input, ...told });
  };

  #hides(type: Earlier["type"], below: Earlier, path: string): boolean {
    if (type === below.type) return false;
    if (type === "folder" || below.type === "folder") return true;
    return below.type === "link" && this.earlier.isFolder(path);
  }

  /** Keeps what engines apply; what else there is, is told. */
  readonly keepsAttribute: NonNullable<TarEdits["keepsAttribute"]> = (name, value, path) => {
    if (OVERLAY.test(name)) this.#refuseStorage(path);
    // An extended header has no way to say either.
    if (APPLIED.test(name) && !name.includes("=") && value !== "") return true;
    this.#leaveOut(`the attribute "${name}"`, path);
    return false;
  };

  #leaveOut(what: string, path: string): void {
    const paths = this.#left.get(what) ?? new PathSample();
    this.#left.set(what, paths);
    paths.add(path);
  }

  /** Notes a socket. */
  readonly onSocket = (path: string): void => this.#leaveOut("sockets", path);

  /**
   * Tells what was left out.
   *
   * @returns A sentence for each kind.
   */
  leftOut(): string[] {
    return [...this.#left].map(([what, paths]) =>
      `"${this.stage}" leaves out ${what} of input "${this.input}", which no layer can have: ${paths}`
    );
  }

  #refuseStorage(path: string): never {
    throw new StageError(
      this.stage,
      `input "${this.input}" has the storage of an engine, with deleted files at "${path}": ` +
        `as a layer, they would be there again`,
      { hint: 'install with driver: "vfs", or into the tree of the device itself' },
    );
  }
}
