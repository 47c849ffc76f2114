import type { Draft } from "./draft.ts";

/** All that is asked of a kind of files that images can be imported from. */
export interface ImportKind {
  /** What it takes, behind its name on the command line. */
  readonly usage: string;
  /** What it reads, in a line. */
  readonly summary: string;
  /**
   * Says for which platform the files are, where they do.
   *
   * @param files The files.
   * @returns A platform, such as `linux/arm64`.
   */
  platform?(files: readonly ImportFile[]): string | undefined;
  /**
   * Adds what the files say to a config.
   *
   * @param files The files.
   * @param draft The config.
   * @throws {ImportError} If a file is none of this kind.
   */
  read(files: readonly ImportFile[], draft: Draft): void;
  /** Paths of the files of a folder that are meant; absent where a folder is a mistake. */
  readonly pattern?: RegExp;
  /**
   * Folders of a tree where such files are, as absolute paths: a folder that has one of them is taken
   * for the root of a tree. Of files in one group that have one name, the first counts.
   */
  readonly folders?: readonly (readonly string[])[];
}

/** A file that is imported. */
export interface ImportFile {
  /** Its path, as it was given. */
  readonly path: string;
  /** What it says. */
  readonly text: string;
}
