import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import { type Flag, GLOBAL_FLAGS, LONE_FLAGS } from "./flags.ts";

/**
 * The help of the program.
 *
 * @param commands Its commands by name.
 * @returns Several lines.
 */
export function helpOfAll(commands: readonly (readonly [name: string, Command])[]): string {
  return [
    "Gets exact container images from somewhere into something.",
    "",
    "stowage COMMAND [NAME…] [FLAG…]",
    "",
    columns(commands.map(([name, { summary }]) => [`  ${name}`, summary])),
    "",
    flagsHelp(LONE_FLAGS),
  ].join("\n");
}

/**
 * The help of a command.
 *
 * @param name Its name.
 * @param command The command.
 * @returns Several lines.
 */
export function helpOf(name: string, { usage, summary, flags }: Command): string {
  const line = ["stowage", name, usage, "[FLAG…]"].filter(Boolean).join(" ");
  return [line, "", summary, "", flagsHelp([...flags, ...GLOBAL_FLAGS])].join("\n");
}

function flagsHelp(flags: readonly Flag[]): string {
  return columns(flags.map(({ name, alias, value, help }) => [
    `  ${alias ? `-${alias}, ` : "    "}--${name}${value ? ` ${value}` : ""}`,
    help,
  ]));
}
