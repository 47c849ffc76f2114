import type { Platform, Reference, RegistryOptions, Stage, StageOf } from "../../config/mod.ts";
import type { MadeImage } from "../events.ts";
import type { GivenInput, ListedImage, StageImage } from "../stage_input.ts";
import type { ProcessResult } from "../tools/process.ts";
import type { SandboxOptions } from "../tools/sandbox.ts";

export type { GivenInput, ListedImage, StageImage };

/** How a stage runs a program. */
export interface StageRunOptions
  extends Pick<SandboxOptions, "env" | "network" | "cwd" | "maxOutput"> {
  /** Whether its standard output is for people. */
  readonly isLogged?: boolean;
  /** Makes what it says on standard error fit for the log, where that may have secrets. */
  readonly words?: (stderr: string) => string;
  /** What to do where it fails; it gets the stage's log. */
  readonly hint?: (log: string) => string | undefined;
}

/** What the engine gives to a stage. */
export interface StageContext {
  /** Name of the stage. */
  readonly name: string;
  /** The tree that the stage changes. */
  readonly tree: string;
  /** What it reads, in the order of the config. */
  readonly inputs: readonly GivenInput[];
  /** An empty folder for what the stage needs no longer than it runs; not in the tree. */
  readonly scratch: string;
  /** An empty folder like it, on the file system of the store, whatever its path looks like. */
  readonly staging: string;
  /** A folder of the store for what stages make once and share; entries are made by a rename. */
  readonly archives: string;
  /** Folder that relative paths of the config start from. */
  readonly root: string;
  /**
   * The time that everything new is dated to, in seconds since 1970: `SOURCE_DATE_EPOCH`, or else the
   * newest date of the trees that are read, or 0.
   */
  readonly epoch: number;
  /** This machine's platform. */
  readonly platform: Platform;
  /**
   * Says where signatures of registries' images are, and go.
   *
   * @returns The folder, containers-registries.d(5); `undefined` where it is this machine's own.
   * @throws {ConfigError} If there is no folder where the config says.
   */
  registriesD(): Promise<string | undefined>;
  /** Ends the stage. */
  readonly signal: AbortSignal;
  /** Says how a registry is reached for an image; paths are absolute. */
  reach(reference: Reference, own: RegistryOptions): RegistryOptions;
  /** Tells of an image that the stage has made or installed. */
  made(image: MadeImage): void;
  /** Tells the user of something that is no failure. */
  notice(message: string): void;
  /** Adds a line to the stage's log. */
  log(line: string): void;
  /**
   * Runs a program that has to succeed, in a sandbox: no network, a clean environment, inputs
   * mounted read-only where they are. What it says on standard error goes into the log; so does its
   * standard output, if it `isLogged`, which is then neither kept nor limited.
   *
   * @throws {StageError} If it fails; it quotes the log.
   * @throws {InterruptedError} If the run was interrupted.
   */
  run(
    program: string,
    args: readonly string[],
    options?: StageRunOptions,
  ): Promise<ProcessResult>;
}

/**
 * What a type of stage does.
 *
 * @typeParam Type The type, as the config has it.
 */
export type StageRunner<Type extends Stage["type"] = Stage["type"]> = (
  stage: StageOf<Type>,
  context: StageContext,
) => Promise<void>;
