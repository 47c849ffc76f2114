import { formatPlatform, InvalidValueError, parsePlatform } from "../../config/mod.ts";
import type { Draft } from "./draft.ts";
import type { ImportFile, ImportKind } from "./import_kind.ts";

/** Recipes of isar, and plain lists of what a `SRC_URI` has. */
export const isar: ImportKind = {
  usage: "RECIPE…",
  summary: "the docker:// images of isar's recipes, or of plain SRC_URI lists; their loader",
  pattern: /\.(bb|inc|bbappend)$/,
  platform(files) {
    const [name, other] = new Set(
      files.flatMap((file) => readVariables(file).get("DISTRO_ARCH") ?? []),
    );
    if (name === undefined || other !== undefined) return undefined;
    try {
      return formatPlatform(parsePlatform(name));
    } catch (error) {
      if (error instanceof InvalidValueError) return undefined;
      throw error;
    }
  },
  read(files, draft) {
    for (const file of files) readRecipe(file, draft);
  },
};

const LOADER = /\brecipes-support\/container-loader\/(docker|podman)-loader\.inc\b/;

function readRecipe(file: ImportFile, draft: Draft): void {
  const variables = readVariables(file);
  const text = lines(file).map(({ text }) => text).join("\n");
  const sources: [name: string, image: string][] = [];
  let removing = false;
  for (const { text, line } of lines(file)) {
    removing = /^\s*[\w-]+[:_]remove\b/.test(text) || (removing && !ASSIGNED.test(text));
    for (const [uri] of text.matchAll(/docker:\/\/[^\s"'\\]+/g)) {
      const where = `${file.path}:${line}`;
      if (removing) {
        draft.leave(where, `"${uri}"`, "it is taken away there: take it out of the config too");
        continue;
      }
      const { value, unknown } = expand(uri, variables);
      if (unknown !== undefined) {
        draft.leave(where, `"${uri}"`, `the recipe does not say what ${unknown} is`);
        continue;
      }
      const name = draft.image(value, {}, where);
      if (name === undefined) continue;
      sources.push([name, installedAs(value)]);
      const [, override] = OVERRIDE.exec(text) ?? [];
      if (override !== undefined) draft.comment(`sources.${name}`, `With ${override} only`);
    }
  }
  const [, engine] = LOADER.exec(text) ?? [];
  if (sources.length === 0 || (engine !== "docker" && engine !== "podman")) return;
  const images = Object.fromEntries(sources);
  const input = draft.input({ type: "images", images }, "containers", `${recipeOf(file)}-images`);
  const isDeleted = /^1$/.test(variables.get("CONTAINER_DELETE_AFTER_LOAD") ?? "");
  draft.stage({
    type: "container-loader",
    inputs: [input],
    engine,
    ...(isDeleted && { deleteAfterLoad: true }),
  }, recipeOf(file));
}

/** isar calls an image what its URL does, with the tag. */
function installedAs(reference: string): string {
  const [name = "", ...parameters] = reference.replace("docker://", "").split(";");
  const tag = parameters.find((each) => each.startsWith("tag="))?.slice("tag=".length);
  return tag === undefined ? name.replace(/@.*/, "") : `${name}:${tag}`;
}

function recipeOf({ path }: ImportFile): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/(_.*)?\.\w+$/, "");
}

/** The lines of a recipe, without comments. */
function lines({ text }: ImportFile): { readonly text: string; readonly line: number }[] {
  const all = text.split(/\r?\n/).map((text, at) => ({
    text: /^\s*#/.test(text) ? "" : text,
    line: at + 1,
  }));
  return all.filter(({ text }) => text.trim() !== "");
}

/** A name with what bitbake takes behind it, an operator, and where the value is in one line, that. */
const ASSIGNED =
  /^\s*(?:export\s+)?([\w-]+?)((?:[:_](?:append|prepend|remove))?(?::[\w-]+)*)\s*(\?\??=|:=|\+=|=\+|\.=|=\.|=)(?:\s*(["'])(.*)\4\s*$)?/;
/** What an addition needs to count. */
const OVERRIDE = /^\s*[\w-]+[:_](?:append|prepend)[:_]([\w:-]+)\s*=/;

/**
 * What the recipe itself assigns; its name says the version. What is known in part only, as other
 * files or the machine decide the rest, is not known.
 */
function readVariables(file: ImportFile): Map<string, string> {
  const variables = new Map<string, string>();
  const [, name, version] = /([^/]+?)(?:_([^/]+))?\.bb$/.exec(file.path) ?? [];
  if (name !== undefined) variables.set("PN", name).set("BPN", name);
  if (version !== undefined) variables.set("PV", version);
  const [weak, added, unknown] = [
    new Map<string, string>(),
    new Map<string, string[]>(),
    new Set<string>(),
  ];
  const values = (key: string, before: string, after: string) => {
    const own = variables.get(key);
    if (own !== undefined) variables.set(key, `${before}${own}${after}`);
    else unknown.add(key);
  };
  for (const { text } of lines(file)) {
    const [, key = "", suffix = "", operator = "", quote, value = ""] = ASSIGNED.exec(text) ?? [];
    if (key === "") continue;
    if (quote === undefined) unknown.add(key);
    else if (/^[:_](append|prepend)$/.test(suffix)) {
      added.set(key, [...added.get(key) ?? [], `${suffix.slice(1)}:${value}`]);
    } else if (suffix !== "") unknown.add(key);
    else if (operator === "??=") weak.set(key, value);
    else if (operator === "?=") {
      if (!variables.has(key)) variables.set(key, value);
    } else if (operator === "+=") values(key, "", ` ${value}`);
    else if (operator === "=+") values(key, `${value} `, "");
    else if (operator === ".=") values(key, "", value);
    else if (operator === "=.") values(key, value, "");
    else variables.set(key, value);
  }
  for (const [key, value] of weak) if (!variables.has(key)) variables.set(key, value);
  for (const [key, all] of added) {
    for (const each of all) {
      const text = each.slice(each.indexOf(":") + 1);
      if (each.startsWith("append")) values(key, "", text);
      else values(key, text, "");
    }
  }
  for (const key of unknown) variables.delete(key);
  return variables;
}

const MAX_DEPTH = 10;

function expand(
  text: string,
  variables: ReadonlyMap<string, string>,
): { readonly value: string; readonly unknown?: string } {
  let value = text;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    let unknown: string | undefined;
    const next = value.replace(/\$\{([^}]*)\}/g, (whole, name: string) => {
      const known = variables.get(name);
      if (known === undefined) unknown ??= name;
      return known ?? whole;
    });
    if (unknown !== undefined) return { value, unknown };
    if (next === value) return { value };
    value = next;
  }
  return { value, unknown: "a variable that names itself" };
}
