import * as v from "valibot";
import { InvalidValueError, parsePlatform, type TagRule } from "../../config/mod.ts";
import { TagRuleSchema } from "../../config/tags.ts";
import { ImportError } from "../errors/mod.ts";
import type { Draft } from "./draft.ts";
import type { ImportFile, ImportKind } from "./import_kind.ts";
import { listOf, mapOf, readYaml, textOf, type YamlMap } from "./yaml.ts";

/** Lists of images. */
export const list: ImportKind = {
  usage: "FILE…",
  summary: "a reference a line; YAML of skopeo sync, hauler or zarf",
  read(files, draft) {
    for (const file of files) readList(file, draft);
  },
};

function readList(file: ImportFile, draft: Draft): void {
  const documents = parse(file);
  const maps = documents?.map((document) => ({ document, map: mapOf(document) })) ?? [];
  if (maps.every(({ map }) => Object.keys(map).length === 0)) {
    const entries = documents?.flatMap((document) => listOf(document)) ?? [];
    if (entries.length > 0) addReferences(entries, file.path, draft);
    else addLines(file, draft);
    return;
  }
  for (const { map } of maps) {
    const kind = KINDS.find((kind) => kind.is(map));
    if (!kind) {
      throw new ImportError(`Cannot read "${file.path}": it is no list of images that is known`, {
        hint: "known are: a reference a line, and YAML of skopeo sync, hauler or zarf; " +
          "`stowage import compose` and `kubernetes` read theirs",
      });
    }
    kind.read(map, file.path, draft);
  }
}

/** A plain list need not be YAML. */
function parse(file: ImportFile): unknown[] | undefined {
  try {
    return readYaml(file);
  } catch (error) {
    if (error instanceof ImportError && !/\.ya?ml$/.test(file.path)) return undefined;
    throw error;
  }
}

function addLines({ path, text }: ImportFile, draft: Draft): void {
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    const [reference, ...more] = line.replace(/(^|\s)#.*/, "").trim().split(/\s+/);
    if (!reference) continue;
    const where = `${path}:${at + 1}`;
    if (more.length === 0) draft.image(reference, {}, where);
    else draft.leave(where, `"${line.trim()}"`, "it is more than one reference");
  }
}

function addReferences(entries: readonly unknown[], path: string, draft: Draft): void {
  for (const [at, entry] of entries.entries()) {
    const reference = textOf(entry);
    const where = `${path}[${at}]`;
    if (reference !== undefined) draft.image(reference, {}, where);
    else draft.leave(where, "entry", "it is no reference");
  }
}

/** A form of lists that is YAML. */
interface ListKind {
  /** Whether a document is of this kind. */
  is(document: YamlMap): boolean;
  /** Adds its images. */
  read(document: YamlMap, path: string, draft: Draft): void;
}

const IN_OTHER_WORDS = "the config says such things in other words";

/** https://github.com/hauler-dev/hauler: images of a store. */
const hauler: ListKind = {
  is: ({ apiVersion }) => textOf(apiVersion)?.includes("hauler.cattle.io/") ?? false,
  read({ kind, metadata, spec }, path, draft) {
    const what = textOf(kind) ?? "document";
    const { images, ...others } = mapOf(spec);
    for (const name of Object.keys(others)) {
      draft.leave(`${path}: spec.${name}`, what, "stowage has no words for what is no image");
    }
    const annotations = mapOf(mapOf(metadata)["annotations"]);
    const { "hauler.dev/registry": host, "hauler.dev/platform": all, ...rest } = annotations;
    const registry = textOf(host);
    for (const key of Object.keys(rest).filter((key) => key.startsWith("hauler.dev/"))) {
      draft.leave(`${path}: metadata.annotations["${key}"]`, key, IN_OTHER_WORDS);
    }
    for (const [at, entry] of listOf(images).entries()) {
      const { name, platform, ...more } = mapOf(entry);
      const where = `${path}: spec.images[${at}]`;
      const own = textOf(name);
      if (own === undefined) {
        draft.leave(where, "image", "it has no name");
        continue;
      }
      const reference = registry !== undefined && !hasHost(own) ? `${registry}/${own}` : own;
      const wanted = textOf(platform) ?? textOf(all);
      const options = platformOf(wanted, `${where}.platform`, draft);
      for (const key of Object.keys(more)) {
        draft.leave(`${where}.${key}`, key, IN_OTHER_WORDS);
      }
      draft.image(reference, options, `${where}.name`);
    }
  },
};

/** https://docs.zarf.dev: images of the components of a package. */
const zarf: ListKind = {
  is: ({ kind }) => textOf(kind)?.startsWith("Zarf") ?? false,
  read({ metadata, components }, path, draft) {
    const architecture = textOf(mapOf(metadata)["architecture"]);
    for (const [at, component] of listOf(components).entries()) {
      const { images, only, import: other, ...rest } = mapOf(component);
      const own = textOf(mapOf(mapOf(only)["cluster"])["architecture"]) ?? architecture;
      const here = `${path}: components[${at}]`;
      const options = platformOf(own && `linux/${own}`, here, draft);
      for (const [index, image] of listOf(images).entries()) {
        const where = `${here}.images[${index}]`;
        const reference = textOf(image);
        if (reference === undefined) draft.leave(where, "image", "it is no text");
        else draft.image(reference, options, where);
      }
      if (other !== undefined) {
        draft.leave(`${here}.import`, "import", "import the file that it names as well");
      }
      for (const key of WITH_CONTENT.filter((key) => rest[key] !== undefined)) {
        const why = "stowage fetches the images that a component lists, and nothing else of it";
        draft.leave(`${here}.${key}`, key, why);
      }
    }
  },
};

/** What else a component of zarf brings along. */
const WITH_CONTENT = ["charts", "manifests", "repos", "files", "dataInjections", "imageArchives"];

/** skopeo-sync(1): registries, each with its images and their tags. */
const skopeoSync: ListKind = {
  is: (document) =>
    Object.values(document).some((registry) =>
      Object.keys(mapOf(registry)).some((key) => key === "images" || key.startsWith("images-by-"))
    ),
  read(document, path, draft) {
    for (const [registry, value] of Object.entries(document)) {
      const { images, credentials, ...more } = mapOf(value);
      const { "tls-verify": tlsVerify, "cert-dir": certDir, ...others } = more;
      const where = `${path}: ${registry}`;
      const dir = textOf(certDir);
      const options = {
        ...(tlsVerify === "false" && { tlsVerify: false }),
        ...(dir !== undefined && { certDir: dir }),
      };
      const addRule = (repository: string, tags: TagRule, at: string) => {
        if (v.is(TagRuleSchema, tags)) {
          return draft.image(`${registry}/${repository}`, { tags, ...options }, at);
        }
        const rule = tags.semver ?? tags.regex ?? "";
        draft.leave(at, `"${rule}"`, "a config has no such rule for tags");
        return undefined;
      };
      if (credentials !== undefined) {
        const why = "a config has none; log in with skopeo login, or name a file with authFile";
        draft.leave(`${where}.credentials`, "credentials", why);
      }
      for (const [key, rules] of Object.entries(others)) {
        const rule = TAG_RULES[key];
        if (!rule) draft.leave(`${where}.${key}`, key, "a config has no words for it");
        for (const [repository, text] of rule ? Object.entries(mapOf(rules)) : []) {
          const at = `${where}.${key}.${repository}`;
          const source = addRule(repository, rule?.(String(text)) ?? {}, at);
          if (source !== undefined && key === "images-by-semver") {
            draft.comment(
              `sources.${source}`,
              "Only tags with three numbers; skopeo takes 1.2, too",
            );
          }
        }
      }
      for (const [repository, tags] of Object.entries(mapOf(images))) {
        const at = `${where}.images.${repository}`;
        const named = textOf(tags) === undefined ? listOf(tags) : [tags];
        if (named.length === 0) addRule(repository, { regex: ".*" }, at);
        for (const [index, tag] of named.entries()) {
          const text = String(tag);
          const reference = `${registry}/${repository}${text.includes(":") ? "@" : ":"}${text}`;
          draft.image(reference, options, `${at}[${index}]`);
        }
      }
    }
  },
};

/** How skopeo chooses tags; a pattern of its own may fit any part of a tag. */
const TAG_RULES: Readonly<Record<string, (text: string) => TagRule>> = {
  "images-by-tag-regex": (text) => {
    const [, whole] = /^\^([^|^$]*)\$$/.exec(text) ?? [];
    return { regex: whole ?? `.*(?:${text}).*` };
  },
  "images-by-semver": (text) => ({
    semver: text.replaceAll(",", " ").replace(/([<>=~^])\s+/g, "$1"),
  }),
};

const KINDS: readonly ListKind[] = [hauler, zarf, skopeoSync];

function hasHost(reference: string): boolean {
  const [first = "", ...rest] = reference.split("/");
  return rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
}

/**
 * Reads the platform of an image.
 *
 * @param text What is said of it, if anything.
 * @param at Where that stands.
 * @param draft Takes what cannot be read.
 * @returns The options of a source.
 */
export function platformOf(
  text: string | undefined,
  at: string,
  draft: Draft,
): { readonly platform?: string } {
  if (text === undefined) return {};
  try {
    parsePlatform(text);
    return { platform: text };
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    draft.leave(at, `"${text}"`, `it is no platform: expected ${error.expected}`);
    return {};
  }
}
