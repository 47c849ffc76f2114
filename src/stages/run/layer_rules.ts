import { StageError } from "../../errors/mod.ts";
import type { TarEdits } from "../../lib/archive/tar_editor.ts";
import { PathSample } from "../../lib/path_sample.ts";

/** What engines take out of a layer, as containers/storage has it; and ACLs. */
const APPLIED = /^(user\..+|security\.(capability|ima)|system\.posix_acl_(access|default))$/;
/** Where overlayfs keeps what it knows of a folder. */
const OVERLAY = /^(trusted|user)\.overlay\./;
/** A folder or a link of an earlier layer. */
interface Earlier {
  readonly type: "folder" | "link";
  readonly input: string;
}

/** What the layers of an image can have of trees. */
export class LayerRules {
  readonly #earlier = new Map<string, Earlier>();

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
   * @returns What is left out of it, and what is refused.
   */
  next(input: string): LayerEdits {
    return new LayerEdits(this.stage, input, this.takesWhiteouts, this.#earlier);
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
   * @param earlier Folders and links of the layers below, by path; this one's are added.
   */
  constructor(
    private readonly stage: string,
    private readonly input: string,
    private readonly takesWhiteouts: boolean,
    private readonly earlier: Map<string, Earlier>,
  ) {}

  /**
   * Refuses what a layer has another meaning for: a name that begins with `.wh.` deletes a file,
   * the storage of an engine has deleted files of its own, and what takes the place of a folder, or
   * a folder that takes the place of a link, hides all that is there.
   * Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
   */
  readonly onMember: NonNullable<TarEdits["onMember"]> = ({ path, type }) => {
    if (!this.takesWhiteouts && path.slice(path.lastIndexOf("/") + 1).startsWith(".wh.")) {
      throw new StageError(
        this.stage,
        `input "${this.input}" has "${path}": in a layer, a name that begins with ".wh." deletes a file`,
        { hint: "rename it, leave it out of the input, or say whiteouts: true if it is meant so" },
      );
    }
    if (type === "whiteout") this.#refuseStorage(path);
    const below = this.earlier.get(path);
    if (below && type !== below.type && (type === "folder" || below.type === "folder")) {
      throw new StageError(
        this.stage,
        `input "${this.input}" has a ${type === "other" ? "file" : type} where input ` +
          `"${below.input}" has a ${below.type}: "${path}" would hide what is there`,
        { hint: "copy both into one tree with copyTree, which follows links of the tree" },
      );
    }
    if (type === "folder" || type === "link") this.earlier.set(path, { type, input: this.input });
  };

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
