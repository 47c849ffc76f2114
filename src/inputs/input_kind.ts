import type { HostImageInput, Input, Platform } from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import type { ArtifactResult, ImageResult } from "../events.ts";
import type { HostImage, ResolvedInput } from "../stage_input.ts";

/** An image of an input. */
export interface InputImage {
  /** Key of the source, or of the stage that makes it; the id of an image of this machine. */
  readonly source: string;
  /** Its normalised names. */
  readonly names: readonly string[];
  /** What all platforms of its source are called together; absent where it is the only one. */
  readonly listNames?: readonly string[];
  /** Whether all platforms of its index come along. */
  readonly wantsAll?: boolean;
}

/** A source or a stage that an input names. */
export interface NamedNeed {
  /** Which of them it is. */
  readonly section: "sources" | "stages";
  /** Its name. */
  readonly name: string;
  /** Where in the input it stands. */
  readonly path: string;
}

/** What a config has beside its inputs. */
export interface Surroundings {
  /** A source, once for each of its platforms and tags; nothing where there is none, or it is wrong. */
  source(name: string): readonly {
    /** Key of its node. */
    readonly key: string;
    /** Its platform. */
    readonly platform: Platform;
    /** Whether all platforms of its index come along. */
    readonly wantsAll?: boolean;
    /** What its image is called where nothing else is said; absent where it has no reference. */
    readonly imageName?: string | undefined;
    /** Its tag, where the source has a rule for tags; empty as long as that is not locked. */
    readonly ownTag?: string | undefined;
  }[];
  /** Whether a source is no image; `undefined` where there is none of that name, or it is wrong. */
  isArtifact(source: string): boolean | undefined;
  /** Whether a stage has no tree that could be read; `false` where there is no such stage. */
  hasNoTree(stage: string): boolean;
  /** What the image that a stage makes is called, where the stage says it. */
  imageName(stage: string): string | undefined;
}

/** What is worth to be told of an input, and is no failure. */
export type InputNote =
  /** Its files belong to that user, and root builds. */
  | { readonly code: "FOREIGN_OWNER"; readonly user: number }
  /** It has sockets, which nothing can have that is made of it. */
  | { readonly code: "LEFT_OUT"; readonly sockets: string }
  /** Its date may be another one elsewhere: why, and what to do about it; it follows "as". */
  | { readonly code: "UNDATED"; readonly doubt: string };

/** What an input is resolved with. */
export interface InputContext {
  /** Name of the input. */
  readonly name: string;
  /** The images that it gives. */
  readonly images: readonly InputImage[];
  /** Folder that relative paths of the config start from. */
  readonly root: string;
  /** The store's folder. */
  readonly store: string;
  /** This machine's platform. */
  readonly platform: Platform;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** The time that everything is dated to, in seconds since 1970, where the user has said it. */
  readonly epoch?: number | undefined;
  /** Notes what is told in one go, with all inputs that it is true of. */
  note(note: InputNote): void;
  /** Makes a folder for what is needed no longer than the run. */
  scratch(): Promise<string>;
  /** Keys of what it names, each once. */
  readonly needs: readonly string[];
  /** The artifact that a source has put into the store, by the source's key. */
  artifact(key: string): ArtifactResult | undefined;
  /** The image that a source has put into the store, by the source's key. */
  image(key: string): ImageResult | undefined;
  /**
   * Finds an image in a storage of this machine.
   *
   * @throws {StageError} If it is not there.
   * @throws {ContentError} If it is another one.
   */
  host(
    image: Omit<HostImage, "platform">,
  ): Promise<{ readonly digest: string; readonly platform: Platform }>;
  /** The finished tree of a stage, by the stage's key: its id, 64 hex digits, its folder, its date. */
  tree(key: string):
    | { readonly id: string; readonly tree: string; readonly epoch: number }
    | undefined;
}

/**
 * Finds a stage whose tree is to be read, and that has none.
 *
 * @param stage Its name.
 * @param around What the config has beside its inputs.
 * @returns What is wrong.
 */
export function checkTree(stage: string, around: Surroundings): ConfigIssue[] {
  if (!around.hasNoTree(stage)) return [];
  const expected = "a stage with a tree of its own, and this one puts all elsewhere";
  return [{ path: "stage", value: stage, expected }];
}

/** All that the engine asks of a kind of input. */
export interface InputKind<I extends Input = Input> {
  /** What it gives. */
  readonly gives: "images" | "trees";
  /** What it is, in a line. */
  describe(input: I): string;
  /** What it names, in the order of the config. */
  needs(input: I): NamedNeed[];
  /** Finds what it cannot give, and names of images that cannot be; paths start at the input. */
  check(input: I, around: Surroundings): ConfigIssue[];
  /** The images that it gives, in an order of their own; all of it has to be right. */
  images(input: I, around: Surroundings): InputImage[];
  /** The folder of this machine that it reads, as the config has it; none, if absent. */
  folder?(input: I): string | undefined;
  /** The image of this machine that it reads where it is; none, if absent. */
  hostImage?(input: I): HostImageInput;
  /** What counts for its id, beside its images. */
  meaning(input: I): object;
  /**
   * Finds out what it gives.
   *
   * @throws {StageError} If it gives nothing.
   */
  resolve(input: I, context: InputContext): Promise<ResolvedInput>;
}
