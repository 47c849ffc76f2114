import type { Config } from "../../config/mod.ts";
import type { Command, NamedCommand } from "./command.ts";
import { type Flag, GLOBAL_FLAGS, LONE_FLAGS, splitCommand } from "./flags.ts";

/** What the scripts know: they offer files, or folders, in place of these. */
const FILES = ":files";
const FOLDERS = ":folders";

/**
 * Finds what the last word of a command line may be.
 *
 * @param words What is typed behind the program's name; the last one is not finished.
 * @param commands The commands by name.
 * @param load Loads a config: the one of `--config`, or the usual one.
 * @returns Such words, each with what it does behind a tab; or `:files` or `:folders`.
 */
export async function complete(
  words: readonly string[],
  commands: readonly (readonly [name: string, NamedCommand])[],
  load: (file?: string) => Promise<Config>,
): Promise<string[]> {
  const [before, last = ""] = [words.slice(0, -1), words.at(-1)];
  const { name } = splitCommand(before);
  const command = commands.find(([known]) => known === name)?.[1];
  const flags = command ? [...command.flags, ...GLOBAL_FLAGS] : LONE_FLAGS;
  const taking = flagOf(before.at(-1), flags);
  const offers = taking?.value !== undefined
    ? valuesOf(taking)
    : last.startsWith("-")
    ? flags.map(({ name, help }) => `--${name}\t${help}`)
    : command === undefined
    ? name === undefined ? commands.map(([name, { summary }]) => `${name}\t${summary}`) : []
    : await wordsOf(command, () => load(valueOf("config", before, flags)));
  const isFinal = offers[0] === FILES || offers[0] === FOLDERS;
  return isFinal ? offers : offers.filter((offer) => offer.startsWith(last));
}

function flagOf(word: string | undefined, flags: readonly Flag[]): Flag | undefined {
  return flags.find(({ name, alias }) => word === `--${name}` || (alias && word === `-${alias}`));
}

function valuesOf({ choices, value }: Flag): string[] {
  return [...choices ?? (value === "FILE" ? [FILES] : value === "DIR" ? [FOLDERS] : [])];
}

function valueOf(name: string, words: readonly string[], flags: readonly Flag[]) {
  return words.find((_, index) => flagOf(words[index - 1], flags)?.name === name);
}

async function wordsOf({ completes }: Command, load: () => Promise<Config>): Promise<string[]> {
  if (completes === undefined) return [];
  if (typeof completes !== "string") return [...completes];
  const { sources = {}, stages = {} } = await load();
  const listed = [
    ...Object.keys(sources).map((name) => `${name}\tsource`),
    ...(completes === "names" ? Object.keys(stages).map((name) => `${name}\tstage`) : []),
  ];
  return listed;
}
