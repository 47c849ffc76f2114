// deno-lint-ignore-file no-console
/**
 * The manual, made of what the commands say of themselves: `scripts/deno run -A scripts/manual.ts`
 * writes the commands into docs/cli.md; with a folder, it writes man pages there instead.
 */

import { ensureDir } from "@std/fs/ensure-dir";
import { join } from "@std/path";
import denoJson from "../deno.json" with { type: "json" };
import { COMMANDS, loadCommands } from "../src/cli/commands/mod.ts";
import { EXIT } from "../src/cli/exit_code.ts";
import { type Flag, LONE_FLAGS } from "../src/cli/flags.ts";
import { helpOf, helpOfAll, PURPOSE, spell, usageOf } from "../src/cli/help.ts";

const PAGE = new URL("../docs/cli.md", import.meta.url);
const [FROM, TO] = ["<!-- scripts/manual.ts writes this -->\n", "\n<!-- up to here -->"];

const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done",
  failed: "something failed",
  usage: "the command line or the config is wrong",
  content: "content did not verify",
  lock: "the lock is missing, stale or damaged",
  interrupted: "interrupted; the store is whole",
};

/**
 * Puts the help of all commands into a page.
 *
 * @param page The page, with a place for it.
 * @returns The page with the help as it is now.
 */
export async function withCommands(page: string): Promise<string> {
  const [start, rest = ""] = page.split(FROM);
  const [, end] = rest.split(TO);
  if (start === undefined || end === undefined) throw new Error("The page has no place for it");
  const commands = await loadCommands();
  const helps = [
    helpOfAll(COMMANDS),
    ...commands.map(([name, command]) => helpOf(name, command)),
  ];
  const blocks = helps.map((help, index) => {
    const title = commands[index - 1]?.[0];
    return `${title ? `### ${title}\n\n` : ""}\`\`\`text\n${help}\n\`\`\`\n`;
  });
  return `${start}${FROM}\n${blocks.join("\n")}${TO}${end}`;
}

/**
 * Makes the man pages.
 *
 * @returns The text of each, by the name of its file.
 */
export async function manPages(): Promise<Record<string, string>> {
  const commands = await loadCommands();
  const names = commands.map(([name]) => name);
  const exits = Object.entries(EXIT_MEANINGS).map(([name, meaning]) =>
    item(`${Reflect.get(EXIT, name)}`, meaning)
  );
  const main = manPage("stowage", PURPOSE, "stowage COMMAND [NAME…] [FLAG…]", [
    section("COMMANDS", commands.map(([name, { summary }]) => item(`stowage ${name}`, summary))),
    section("OPTIONS", LONE_FLAGS.map(flagItem)),
    section("EXIT STATUS", exits),
    section("ENVIRONMENT", [
      item("STOWAGE_STORE", "the store, where --store does not say"),
      item("SOURCE_DATE_EPOCH", "the date of all that is made, in seconds since 1970"),
      item("NO_COLOR", "no colours"),
    ]),
    seeAlso([...names.map((name) => `stowage-${name}`), "skopeo", "containers-policy.json(5)"]),
  ]);
  const pages = commands.map(([name, command]): [string, string] => {
    const { summary, flags, examples } = command;
    const body = [
      ...(flags.length > 0 ? [section("OPTIONS", flags.map(flagItem))] : []),
      section("EXAMPLES", examples.map(({ line, does }) => item(`stowage ${line}`, does))),
      seeAlso(["stowage"]),
    ];
    return [`stowage-${name}.1`, manPage(`stowage-${name}`, summary, usageOf(name, command), body)];
  });
  return { "stowage.1": main, ...Object.fromEntries(pages) };
}

function manPage(name: string, purpose: string, usage: string, body: readonly string[]): string {
  const short = purpose.replace(/\.$/, "");
  return [
    `.TH ${name.toUpperCase()} 1 "" "stowage ${denoJson.version}"`,
    section("NAME", [roff(`${name} - ${short}`)]),
    section("SYNOPSIS", [`.B ${roff(usage)}`]),
    ...body,
    "",
  ].join("\n");
}

function section(title: string, lines: readonly string[]): string {
  return [`.SH ${title}`, ...lines].join("\n");
}

function flagItem(flag: Flag): string {
  return item(spell(flag), flag.help);
}

function item(term: string, text: string): string {
  return `.TP\n.B ${roff(term)}\n${roff(text)}`;
}

function seeAlso(names: readonly string[]): string {
  const pages = names.map((name) => name.includes("(") ? name : `${name}(1)`);
  return section("SEE ALSO", [roff(pages.join(", "))]);
}

/** What roff would take for its own. */
function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "...")
    .replace(/^[.']/gm, "\\&$&");
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (folder === undefined) {
    await Deno.writeTextFile(PAGE, await withCommands(await Deno.readTextFile(PAGE)));
  } else {
    await ensureDir(folder);
    for (const [name, text] of Object.entries(await manPages())) {
      await Deno.writeTextFile(join(folder, name), text);
      console.log(join(folder, name));
    }
  }
}
