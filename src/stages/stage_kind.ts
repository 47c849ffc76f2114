import type { Platform, Stage } from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import type { StageContext } from "./stage.ts";

/** All that the engine asks of a kind of stage. */
export interface StageKind<S extends Stage = Stage> {
  /** Grows when it makes another tree of the same config, so that its old trees are not believed. */
  readonly format: number;
  /** What its inputs have to give; a kind that reads anything may have no inputs as well. */
  readonly reads: "images" | "trees" | "anything";
  /** Whether it sees what its inputs are called, so that their names decide its id as well. */
  readonly seesInputNames: boolean;
  /**
   * How it gets its inputs: `shared` as they are, `own` trees as copies that it may link or move,
   * `exposed` trees as copies that show no more of them than their ids say, as it runs any program;
   * where nothing can be mounted, images as well. What is not `own` is mounted read-only.
   */
  readonly access: "shared" | "own" | "exposed";

  /**
   * Finds options that do not go together.
   *
   * @param stage The stage.
   * @returns What is wrong; paths start at the stage.
   */
  check(stage: S): ConfigIssue[];

  /**
   * Finds names that have no room where images go.
   *
   * @param stage The stage.
   * @param names The names of all images that it reads.
   * @returns What is wrong; paths start at the stage.
   */
  checkNames(stage: S, names: readonly string[]): ConfigIssue[];

  /**
   * Says what a stage means.
   *
   * @param stage The stage.
   * @param platform The platform of what names none.
   * @returns The stage, as it is hashed; `inputs` and `on` give way to ids.
   */
  meaning(stage: S, platform: Platform): object;

  /**
   * Names the image that a stage makes.
   *
   * @param stage The stage.
   * @returns The name, or `undefined` if the stage does not say it or makes no image.
   */
  imageName(stage: S): string | undefined;

  /**
   * Names the folder that a stage changes in place, in place of a tree of its own.
   *
   * @param stage The stage.
   * @returns The folder, as the config has it; `undefined` if the stage has a tree.
   */
  into(stage: S): string | undefined;

  /**
   * Tells whether a stage puts what it makes elsewhere than into a tree, so that it runs each time.
   *
   * @param stage The stage.
   * @returns Whether it does.
   */
  isElsewhere(stage: S): boolean;

  /**
   * Finds out which archives of the store a stage needs; absent where a kind needs none.
   *
   * @param stage The stage.
   * @param context Its name and what it reads.
   * @returns Their ids.
   * @throws {StageError} If the stage could not run.
   */
  archives?(stage: S, context: Pick<StageContext, "name" | "inputs">): string[];

  /**
   * Runs a stage: loads what that needs, and nothing else.
   *
   * @param stage The stage.
   * @param context What the engine gives to it.
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
    meaning: (stage) => stage,
    imageName: () => undefined,
    into: () => undefined,
    isElsewhere: () => false,
    ...own,
  };
}
