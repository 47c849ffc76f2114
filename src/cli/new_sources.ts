import { basename, extname } from "@std/path";
import * as v from "valibot";
import {
  formatReference,
  InvalidValueError,
  parsePlatform,
  parseReference,
} from "../../config/mod.ts";
import { UsageError } from "../errors/mod.ts";
import { addToModule, type NewSource } from "./edit_config.ts";

/**
 * Reads what is to be added.
 *
 * @param references The images, by their references.
 * @param options How the only one is called, and what is said of all of them.
 * @returns The sources.
 * @throws {UsageError} If one is no reference, or two have the same name.
 */
export function readSources(
  references: readonly string[],
  { as, platform, tlsVerify }: {
    readonly as: string | undefined;
    readonly platform: string | undefined;
    readonly tlsVerify: boolean | undefined;
  },
): NewSource[] {
  if (references.length === 0) throw new UsageError("Cannot add nothing: say which image");
  if (as !== undefined && references.length > 1) {
    throw new UsageError(`Cannot call ${references.length} sources "${as}"`, {
      hint: "add them one by one",
    });
  }
  const options = {
    ...(platform !== undefined && { platform }),
    ...(tlsVerify === false && { tlsVerify }),
  };
  const sources = references.map((text) => {
    try {
      if (platform !== undefined) parsePlatform(platform);
      const reference = parseReference(text);
      const name = as ?? basename(reference.path);
      return { name, reference: formatReference(reference), options };
    } catch (cause) {
      if (!(cause instanceof InvalidValueError)) throw cause;
      throw new UsageError(`Cannot add "${text}": ${cause.message}`, {
        hint: "images that are not in a registry are written into the config by hand",
      });
    }
  });
  const names = sources.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return sources;
  throw new UsageError(`Cannot call two sources "${twice}"`, { hint: "add them one by one" });
}

const JsonSchema = v.looseObject({
  sources: v.optional(v.record(v.string(), v.unknown()), {}),
});

/**
 * Adds sources to a config.
 *
 * @param file Its file.
 * @param text What it says.
 * @param sources The sources.
 * @returns What it says then, and the names of the sources that it had; `undefined` if it is not of
 * the usual form.
 */
export function addTo(
  file: string,
  text: string,
  sources: readonly NewSource[],
): ReturnType<typeof addToModule> {
  return extname(file) === ".json" ? addToJson(text, sources) : addToModule(text, sources);
}

function addToJson(text: string, sources: readonly NewSource[]) {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const config = v.safeParse(JsonSchema, json);
  if (!config.success) return undefined;
  const added = sources.map(({ name, reference, options }) => {
    return [name, { type: "docker", reference, ...options }];
  });
  const all = { ...config.output.sources, ...Object.fromEntries(added) };
  const indent = /\n( +|\t)"/.exec(text)?.[1] ?? 2;
  return {
    text: `${JSON.stringify({ ...Object(json), sources: all }, undefined, indent)}\n`,
    names: Object.keys(config.output.sources),
  };
}
