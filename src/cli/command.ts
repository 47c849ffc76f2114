import type { Cache } from "../../config/mod.ts";
import type { Listener } from "../events.ts";
import type { Stowage, StowageOptions } from "../sdk.ts";
import type { Flag, ParsedFlags } from "./flags.ts";
import type { Terminal } from "./terminal.ts";

/** What a command has to work with. */
export interface CommandContext {
  /** What the command line says. */
  readonly flags: ParsedFlags;
  /** Where it writes. */
  readonly terminal: Terminal;
  /** What it says of limits and places, for what has no config. */
  readonly options: StowageOptions;
  /** Whether a program reads what it writes. */
  readonly isJson: boolean;
  /** Whether only errors are wanted. */
  readonly isQuiet: boolean;
  /** Takes events. */
  readonly onEvent: Listener;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  /**
   * Loads the config, and the lock that may be beside it, and compiles them. One that is optional,
   * and that is neither named nor in this folder, has nothing in it. A lock that is optional and
   * cannot be read is told, and left out.
   */
  load(
    options?: {
      readonly isOptional?: boolean;
      readonly lock?: "required" | "optional" | "ignored";
      /** Caches that are asked before those of the config. */
      readonly cache?: readonly Cache[];
    },
  ): Promise<Stowage>;
  /** Where the lock of the config is, there or not. */
  lockPath(): Promise<string>;
}

/** What a command says at its end, for `--json`. */
export interface CommandResult {
  /** Whether all went well. */
  readonly ok: boolean;
  /** The exit code; 0 or 1, as `ok` is, if absent. */
  readonly exitCode?: number;
  /** What the command found or did. */
  readonly [field: string]: unknown;
}

/** A command line that shows how a command is used. */
export interface Example {
  /** What is typed behind `stowage`. */
  readonly line: string;
  /** What that does. */
  readonly does: string;
}

/** A command of the command line. */
export interface Command {
  /** What it takes, behind its name. */
  readonly usage: string;
  /** Its own flags. */
  readonly flags: readonly Flag[];
  /** How it is used, the most usual first. */
  readonly examples: readonly Example[];
  /** How many words it takes behind its name; any number if absent. */
  readonly maxWords?: number;
  /** What a shell offers for its words: names of the config, or these; nothing if absent. */
  readonly completes?: "sources" | "names" | readonly string[];
  /** Does it. */
  run(context: CommandContext): Promise<CommandResult>;
}

/** A command with what the list of commands says of it. */
export interface NamedCommand extends Command {
  /** What it does, in a line. */
  readonly summary: string;
}
