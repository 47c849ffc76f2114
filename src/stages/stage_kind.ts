import type { Platform, Stage } from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import type { StageContext } from "./stage.ts";

/** What not every machine can do, or is meant to. */
export type Ability = "install" | "exec";
/** All of that. */
export const ABILITIES: readonly Ability[] = ["install", "exec"];

/** An image that a stage reads, as a config says it. */
export interface NamedImage {
  /** What it is: images with different ones may be different. */
  readonly source: string;
  /** Its normalised names. */
  readonly names: readonly string[];
}

/** What a stage takes of its tree for itself: what another stage puts there would be lost. */
export interface Filled {
  /** Path in the tree. */
  readonly path: string;
  /** Name of the image there, where the path has room for several. */
  readonly name?: string;
}

/** All that the engine asks of a kind of stage. */
export interface StageKind<S extends Stage = Stage> {
  /** Grows when it makes another tree of the same config, so that its old trees are not believed. */
  readonly format: number;
  /** What its inputs have to give; a kind that reads anything may have no inputs as well. */
  readonly reads: "images" | "trees" | "anything";
  /** Whether it sees what its inputs are called, so that their names decide its id as well. */
  readonly seesInputNames: boolean;
  /**
   * How it gets its inputs. `shared`: as they are. `own`: trees as copies, which it may link or move.
   * `exposed`, of a kind that runs any program: trees as copies that show no more than their ids say,
   * and images as well where nothing can be mounted. What is not `own` is mounted read-only.
   */
  readonly access: "shared" | "own" | "exposed";
  /** What a worker has to be able to do to run it; nothing, if absent. */
  readonly ability?: Ability;
  /** Finds options that do not go together; paths start at the stage. */
  check(stage: S): ConfigIssue[];
  /** Finds names, of all images that it reads, that have no room where these go. */
  checkNames(stage: S, names: readonly string[]): ConfigIssue[];
  /** What of the tree it takes for an image; for what it makes itself, where it reads trees. */
  fills(stage: S, image?: NamedImage): Filled[];
  /** What counts for its id, beside `inputs` and `on`; `platform` is that of what names none. */
  meaning(stage: S, platform: Platform): object;
  /** What the image that it makes is called, where it makes one and says so. */
  imageName(stage: S): string | undefined;
  /** The folder that it changes in place, as the config has it, instead of a tree of its own. */
  into(stage: S): string | undefined;
  /** Whether what it makes goes elsewhere than into a tree, so that it runs each time. */
  isElsewhere(stage: S): boolean;
  /**
   * Ids of the archives that it needs in the store; absent where a kind needs none.
   *
   * @throws {StageError} If it could not run.
   */
  archives?(stage: S, context: Pick<StageContext, "name" | "inputs">): Promise<string[]>;
  /**
   * Runs it: loads what that needs, and nothing else.
   *
   * @throws {StageError} If it fails.
   * @throws {InterruptedError} If the run was interrupted.
   */
  run(stage: S, context: StageContext): Promise<void>;
}

/** What a kind has to say for itself; for the rest it may be as most are. */
type Own<S extends Stage> =
  & Pick<StageKind<S>, "format" | "reads" | "run">
  & Partial<StageKind<S>>;

/**
 * Makes a kind of stage.
 *
 * @param own What it does in another way than most.
 * @returns The kind.
 */
export function defineKind<S extends Stage>(own: Own<S>): StageKind<S> {
  return {
    seesInputNames: false,
    access: "shared",
    check: () => [],
    checkNames: () => [],
    fills: () => [],
    meaning: (stage) => stage,
    imageName: () => undefined,
    into: () => undefined,
    isElsewhere: () => false,
    ...own,
  };
}
