import { join } from "@std/path";
import type { QuadletPairs, QuadletUnit } from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import type { StageRunner } from "../stage.ts";
import { addToTree, readInTree, writeWithMode } from "./tree_file.ts";

const VENDOR = "/usr/share/containers/systemd";
const ADMIN = "/etc/containers/systemd";

/** Where bootc looks for them: https://bootc-dev.github.io/bootc/logically-bound-images.html */
const BOUND = "/usr/lib/bootc/bound-images.d";

/** Writes quadlets; one that is there as it would be written stays. */
export const quadlet: StageRunner<"quadlet"> = async (
  { units, to = VENDOR, bound = [] },
  context,
) => {
  for (const [name, unit] of Object.entries(units).sort(byKey)) {
    const path = join(to, name);
    const text = formatUnit(unit);
    const before = await readInTree(path, context);
    if (before !== undefined && before !== text) {
      throw new StageError(context.name, `the tree has another ${path}`, {
        hint: "give the unit another name, or leave that of the tree out",
      });
    }
    const hiding = join(ADMIN, name);
    if (path === join(VENDOR, name)) {
      const other = await readInTree(hiding, context);
      if (other !== undefined && other !== text) {
        context.notice(`"${context.name}": podman reads the tree's ${hiding} in place of ${path}`);
      }
    }
    if (before !== undefined) continue;
    await addToTree(path, (file) => writeWithMode(file, text, 0o644), context);
  }
  for (const name of bound) {
    await addToTree(join(BOUND, name), (file) => Deno.symlink(join(to, name), file), context);
  }
};

/** Those of podman are arguments of commands, where systemd replaces variables. */
const SYSTEMD = ["Unit", "Service", "Install", "Quadlet"];
const FIRST = ["Unit"];
const LAST = ["Service", "Install", "Quadlet"];

type Value = QuadletPairs | boolean;
type Section = Readonly<Record<string, Value>>;

/** The text of a unit; the order of keys does not count in a config, so they are sorted. */
function formatUnit(unit: QuadletUnit): string {
  const rank = (name: string) => FIRST.includes(name) ? -1 : LAST.indexOf(name) + 1;
  return Object.entries<Section>({ ...unit })
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([section, keys]) => {
      const lines = Object.entries(keys).sort(byKey).flatMap(([key, value]) =>
        linesOf(value, !SYSTEMD.includes(section)).map((line) => `${key}=${line}\n`)
      );
      return `[${section}]\n${lines.join("")}`;
    })
    .join("\n");
}

function linesOf(value: Value, isArgument: boolean): string[] {
  if (typeof value !== "object") return [String(value)];
  if (isList(value)) return value.map(String);
  return Object.entries(value).sort(byKey).map(([name, text]) =>
    quote(`${name}=${text}`, isArgument)
  );
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList<Item>(value: readonly Item[] | object): value is readonly Item[] {
  return Array.isArray(value);
}

/** As systemd.syntax(7) has it: what is read of it is the text again. */
function quote(text: string, isArgument: boolean): string {
  const escaped = text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t")
    .replaceAll("%", "%%");
  return `"${isArgument ? escaped.replaceAll("$", "$$$$") : escaped}"`;
}

function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}
