import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, keyed, Strings, Word } from "../schema_parts.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/** Options of {@linkcode exec}. */
export interface ExecOptions {
  /** Program and arguments; no shell reads them. */
  readonly command: readonly string[];
  /** Environment; of this machine's own, only `PATH` is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the command may use the network. */
  readonly network?: boolean;
}

/** A stage that runs a command, as plain data. */
export interface ExecStage<I extends string = string, S extends string = string>
  extends Partial<StageOptions<I, S>>, ExecOptions {
  /** The literal that tells stages apart. */
  readonly type: "exec";
}

/** What {@linkcode exec} returns where it stands in its config. */
export interface ExecInPlace<I extends string, S extends string> extends ExecStage<I, S>, InPlace {}

const Variable = v.pipe(Word, v.regex(/^[^=\0]+$/, "a name without an equals sign and NUL"));

/** The schema of {@linkcode ExecStage}. */
export const ExecSchema = closed({
  ...stageEntries,
  inputs: v.exactOptional(described(Strings, "Names of the inputs that the stage reads")),
  type: described(v.literal("exec"), "The literal that tells stages apart"),
  command: described(
    v.pipe(
      Strings,
      v.nonEmpty("a program and its arguments"),
      v.check(([program]) => program !== "", "a program whose name is not empty"),
    ),
    "Program and arguments; no shell reads them",
  ),
  env: v.exactOptional(
    described(
      keyed(v.record(Variable, Word)),
      "Environment; of this machine's own, only PATH is passed on",
    ),
  ),
  network: v.exactOptional(described(v.boolean(), "Whether the command may use the network")),
});
true satisfies Same<v.InferOutput<typeof ExecSchema>, ExecStage>;

/**
 * Runs a command with the tree as its working folder, without network unless it asks for it. Where
 * its inputs are, it learns from `STOWAGE_INPUT_<NAME>`: a folder for a tree or an image, several
 * images one a line. It is no jail: a command can change other files of this machine.
 *
 * @param options The command; the inputs and the tree that it needs, if any.
 * @returns The stage, as plain data.
 */
export function exec<I extends string = never, S extends string = never>(
  options: Partial<StageOptions<NoInfer<I>, NoInfer<S>>> & ExecOptions,
): ExecInPlace<I, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function exec<const I extends string = never, const S extends string = never>(
  options: Partial<StageOptions<I, S>> & ExecOptions,
): ExecStage<I, S>;
export function exec(options: Partial<StageOptions> & ExecOptions): ExecStage {
  return { type: "exec", ...options };
}
