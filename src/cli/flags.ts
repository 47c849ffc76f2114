import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "../errors/mod.ts";
import { nearest } from "../graph/nearest.ts";

/** A flag of the command line. */
export interface Flag {
  /** Its name, behind `--`. */
  readonly name: string;
  /** What its value is called in the help; a flag without one is on or off. */
  readonly value?: string;
  /** What its value may be, where that is known; a shell offers it. */
  readonly choices?: readonly string[];
  /** Whether it may be there several times. */
  readonly isRepeatable?: boolean;
  /** Its one letter, behind `-`. */
  readonly alias?: string;
  /** What it is for. */
  readonly help: string;
}

/** What a command line says. */
export interface ParsedFlags {
  /** What is no flag. */
  readonly words: readonly string[];
  /** Whether a flag without a value is there. */
  has(name: string): boolean;
  /** The value of a flag, if it is there. */
  text(name: string): string | undefined;
  /** The values of a flag that may be there several times. */
  list(name: string): readonly string[];
  /** The value of a flag as a whole number, from 1 if it says nothing else, if it is there. */
  number(name: string, least?: 0 | 1): number | undefined;
}

/** The flags of every command. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  {
    name: "config",
    value: "FILE",
    alias: "c",
    help: "the config (images.config.ts, .js, .mjs or .json, here or above)",
  },
  {
    name: "store",
    value: "DIR",
    help: "the store (STOWAGE_STORE, else .stowage beside the config)",
  },
  {
    name: "platform",
    value: "PLATFORM",
    help: "the platform of sources, where the config names none (this machine's)",
  },
  {
    name: "jobs",
    value: "N",
    alias: "j",
    help: "how many images are copied, and stages run, side by side (4)",
  },
  {
    name: "per-registry",
    value: "N",
    help: "how many layers are read from one registry side by side (6)",
  },
  {
    name: "attempts",
    value: "N",
    help: "how often to try a place that fails, where that may pass (3)",
  },
  { name: "timeout", value: "SECONDS", help: "how long a place may give no byte (120)" },
  {
    name: "min-rate",
    value: "BYTES",
    help: "give up a place that sends fewer bytes a second than this (100; 0 turns it off)",
  },
  { name: "offline", help: "ask no registry" },
  { name: "frozen", help: "refuse to run if something is not pinned" },
  { name: "json", help: 'print one JSON object a line, the last of type "result"' },
  {
    name: "progress",
    value: "HOW",
    choices: ["bar", "plain", "none"],
    help: "how far it is: bar (on a terminal), plain (a line a minute), none",
  },
  { name: "quiet", alias: "q", help: "print errors only" },
  { name: "debug", help: "show where in the code an error comes from" },
  { name: "help", alias: "h", help: "show this help" },
];

/** The flags that stand without a command. */
export const LONE_FLAGS: readonly Flag[] = [
  ...GLOBAL_FLAGS,
  { name: "version", alias: "V", help: "show the version" },
];

/**
 * Finds the command; the flags of every command may stand in front of it.
 *
 * @param args What stands behind the program's name.
 * @returns The command's name, if there is one, and all the rest.
 */
export function splitCommand(
  args: readonly string[],
): { readonly name?: string; readonly rest: readonly string[] } {
  const takesNext = GLOBAL_FLAGS.filter(({ value }) => value !== undefined)
    .flatMap(({ name, alias }) => [`--${name}`, ...(alias ? [`-${alias}`] : [])]);
  const index = args.findIndex((arg, i) =>
    arg === "--" || (!arg.startsWith("-") && !takesNext.includes(args[i - 1] ?? ""))
  );
  const name = args[index];
  return name === undefined || name === "--"
    ? { rest: args }
    : { name, rest: args.toSpliced(index, 1) };
}

/**
 * Reads a command line.
 *
 * @param args What stands behind the program's name, or behind the command's.
 * @param flags The flags that there are.
 * @returns What it says.
 * @throws {UsageError} If a flag is unknown, or has no value, or one that it cannot have.
 */
export function readFlags(args: readonly string[], flags: readonly Flag[]): ParsedFlags {
  const withValue = flags.filter((flag) => flag.value !== undefined);
  const parsed: Record<string, unknown> = parseArgs([...args], {
    string: [...withValue.map((flag) => flag.name), "_"],
    boolean: flags.filter((flag) => flag.value === undefined).map((flag) => flag.name),
    collect: flags.filter((flag) => flag.isRepeatable).map((flag) => flag.name),
    alias: Object.fromEntries(flags.flatMap(({ name, alias }) => alias ? [[alias, name]] : [])),
    "--": true,
    unknown: (arg: string, key?: string) => {
      if (key === undefined) return;
      const near = nearest(arg.replace(/^-+|=.*$/g, ""), flags.map(({ name }) => name));
      throw new UsageError(`Cannot use "${arg}": there is no such flag`, {
        hint: near ? `did you mean --${near}?` : "see --help",
      });
    },
  });
  const check = (name: string, value: unknown): string => {
    if (typeof value === "string" && value !== "") return value;
    const flag = flags.find((flag) => flag.name === name);
    throw new UsageError(`Cannot use --${name}: expected one ${flag?.value ?? "value"} behind it`);
  };
  const text = (name: string): string | undefined =>
    parsed[name] === undefined ? undefined : check(name, parsed[name]);
  const list = (name: string): string[] => listOf(parsed[name]).map((value) => check(name, value));
  for (const { name, isRepeatable } of withValue) isRepeatable ? list(name) : text(name);
  return {
    words: [...listOf(parsed["_"]), ...listOf(parsed["--"])],
    has: (name) => parsed[name] === true,
    text,
    list,
    number: (name, least = 1) => {
      const value = text(name);
      if (value === undefined) return undefined;
      if (/^0*\d{1,9}$/.test(value) && Number(value) >= least) return Number(value);
      throw new UsageError(
        `Cannot use --${name} "${value}": expected a whole number from ${least}`,
      );
    },
  };
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
