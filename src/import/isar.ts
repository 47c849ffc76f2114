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
  for (const { text, line } of lines(file)) {
    for (const [uri] of text.matchAll(/docker:\/\/[^\s"'\\]+/g)) {
      const where = `${file.path}:${line}`;
      const { value, unknown } = expand(uri, variables);
      if (unknown !== undefined) {
        draft.leave(where, `"${uri}"`, `the recipe does not say what ${unknown} is`);
        continue;
      }
      const name = draft.image(value, {}, where);
      if (name !== undefined) sources.push([name, installedAs(value)]);
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

/** The lines of a recipe, without comments, those that are continued as one. */
function lines({ text }: ImportFile): { readonly text: string; readonly line: number }[] {
  const all = text.split(/\r?\n/).map((text, at) => ({
    text: /^\s*#/.test(text) ? "" : text,
    line: at + 1,
  }));
  return all.filter(({ text }) => text.trim() !== "");
}

/** What the recipe itself assigns; its name says the version. */
function readVariables(file: ImportFile): Map<string, string> {
  const variables = new Map<string, string>();
  const [, name, version] = /([^/]+?)(?:_([^/]+))?\.bb$/.exec(file.path) ?? [];
  if (name !== undefined) variables.set("PN", name).set("BPN", name);
  if (version !== undefined) variables.set("PV", version);
  for (const { text } of lines(file)) {
    const [, key = "", operator, value = ""] =
      /^\s*([\w-]+)\s*(\?\??=|:?=)\s*["'](.*?)["']\s*$/.exec(text) ?? [];
    if (key !== "" && !(operator?.startsWith("?") && variables.has(key))) variables.set(key, value);
  }
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
