import { columns } from "./columns.ts";
import type { Command, NamedCommand } from "./command.ts";
import { type Flag, LONE_FLAGS } from "./flags.ts";

/** What the program does. */
export const PURPOSE = "Gets exact container images from somewhere into something.";

/**
 * The help of the program.
 *
 * @param commands Its commands by name.
 * @returns Several lines.
 */
export function helpOfAll(
  commands: Readonly<Record<string, { readonly summary: string }>>,
): string {
  return [
    "stowage COMMAND [NAME…] [FLAG…]",
    "",
    PURPOSE,
    "",
    "Commands:",
    columns(Object.entries(commands).map(([name, { summary }]) => [`  ${name}`, summary])),
    "",
    "Flags of every command:",
    flagsHelp(LONE_FLAGS),
    "",
    "See stowage help COMMAND for its own flags, and for examples.",
  ].join("\n");
}

/**
 * The help of a command.
 *
 * @param name Its name.
 * @param command The command.
 * @returns Several lines.
 */
export function helpOf(name: string, command: NamedCommand): string {
  const { summary, flags, examples } = command;
  return [
    usageOf(name, command),
    "",
    summary,
    "",
    ...(flags.length > 0 ? ["Flags:", flagsHelp(flags), ""] : []),
    "Examples:",
    columns(examples.map(({ line, does }) => [`  stowage ${line}`, does])),
    "",
    "See stowage help for the flags of every command.",
  ].join("\n");
}

/**
 * How a command is typed.
 *
 * @param name Its name.
 * @param command The command.
 * @returns Such as `stowage fetch [SOURCE…] [FLAG…]`.
 */
export function usageOf(name: string, { usage }: Command): string {
  return ["stowage", name, usage, "[FLAG…]"].filter(Boolean).join(" ");
}

/**
 * How a flag is typed.
 *
 * @param flag The flag.
 * @returns Such as `-o, --out DIR`.
 */
export function spell({ name, alias, value }: Flag): string {
  return `${alias ? `-${alias}, ` : ""}--${name}${value ? ` ${value}` : ""}`;
}

function flagsHelp(flags: readonly Flag[]): string {
  return columns(flags.map((flag) => [
    `  ${flag.alias ? "" : "    "}${spell(flag)}`,
    flag.help,
  ]));
}
