/** What can be wrong in a store. */
export type FindingKind =
  | "archive"
  | "artifact"
  | "blob"
  | "config"
  | "diff-id"
  | "docker-archive"
  | "folder"
  | "image"
  | "index"
  | "layer"
  | "manifest"
  | "origin"
  | "referrer"
  | "tree";

/**
 * How it is wrong: it is not there, of another size, other bytes than its digest or record says,
 * not of the form that it has to have, a symbolic link, or it cannot be read.
 */
export type FindingProblem = "missing" | "size" | "content" | "format" | "link" | "unreadable";

/** Something in a store that is not what it has to be. */
export interface Finding {
  /** What it is. */
  readonly kind: FindingKind;
  /** How it is wrong, in a word. */
  readonly problem: FindingProblem;
  /** What is wrong, in words. */
  readonly message: string;
  /** Where it is, or was. */
  readonly path: string;
  /** The same file in other places, where it is as wrong. */
  readonly links: readonly string[];
  /** The digest that it has to have, where that is known. */
  readonly digest?: string;
  /** Id of the stage, for a tree. */
  readonly id?: string;
  /** Name of the stage, for a tree whose record says it. */
  readonly stage?: string;
  /** Ids of the images that it belongs to. */
  readonly entries: readonly string[];
  /** The folder that it was put aside in; absent where it stays where it is. */
  readonly quarantine?: string;
}

/** Something that was not what it has to be, and is again. */
export interface RepairedFinding extends Finding {
  /**
   * The place that gave the bytes, as skopeo was told it; absent where the store had them, or where
   * nothing needs them.
   */
  readonly from?: string;
}

/** Something that is not what it has to be, and could not be repaired. */
export interface LeftFinding extends Finding {
  /** Why not, and what to do about it. */
  readonly reason: string;
}
