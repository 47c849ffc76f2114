import {
  formatReference,
  hasTag,
  type ImagesInput,
  InvalidValueError,
  parsePlatform,
  parseReference,
  type Platform,
} from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { StageImage } from "../stage_input.ts";
import type { InputKind } from "./input_kind.ts";

/** As registries have it. */
const MAX_TAG = 128;

/** Images of sources, after osbuild's `org.osbuild.containers` input. */
export const images: InputKind<ImagesInput> = {
  gives: "images",
  describe: () => "images",
  needs: (input) =>
    list(input).map(({ source, path }) => ({ section: "sources", name: source, path })),
  check: (input, around) =>
    list(input).flatMap(({ source, names, path }): ConfigIssue[] => {
      if (around.isArtifact(source)) {
        const expected = "a source that is an image; artifacts() reads this one";
        return [{ path, value: source, expected }];
      }
      const nodes = around.source(source);
      const [first] = nodes;
      if (!first) return [];
      if (first.ownTag !== undefined) {
        return [names ?? []].flat().filter(isTagged).map((value) => ({
          ...{ path, value, expected: "a name without a tag, as each image has its own" },
        }));
      }
      const given = names ?? first.imageName;
      if (given === undefined) {
        return [{ path, expected: `a name as well, as sources.${source} has no reference` }];
      }
      if (nodes.length < 2) return [];
      const room = MAX_TAG - Math.max(...nodes.map(({ platform }) => suffixOf(platform).length));
      const expected = `a tag of at most ${room} characters, as the platform is put behind it`;
      return [given].flat().flatMap((name) => {
        const tag = tagOf(name);
        return tag.length > room ? [{ path, value: tag, expected }] : [];
      });
    }),
  images(input, around) {
    const found = new Map<string, Set<string>>();
    const lists = new Map<string, Set<string>>();
    const whole = new Set<string>();
    for (const { source, names } of list(input)) {
      const nodes = around.source(source).filter(({ ownTag }) => ownTag !== "");
      for (const { key, platform, wantsAll, imageName, ownTag } of nodes) {
        if (wantsAll) whole.add(key);
        const isOne = nodes.every((other) => other.key === key || other.ownTag !== ownTag);
        const suffix = isOne ? "" : suffixOf(platform);
        const own = found.get(key) ?? new Set();
        for (const name of [names ?? imageName ?? source].flat()) {
          own.add(withSuffix(name, suffix, ownTag));
          if (isOne) continue;
          lists.set(key, (lists.get(key) ?? new Set()).add(withSuffix(name, "", ownTag)));
        }
        found.set(key, own);
      }
    }
    return [...found]
      .map(([source, names]) => {
        const listNames = lists.get(source);
        const together = listNames && { listNames: [...listNames].sort() };
        const wantsAll = whole.has(source) && { wantsAll: true };
        return { source, names: [...names].sort(), ...together, ...wantsAll };
      })
      .sort((a, b) => a.source < b.source ? -1 : 1);
  },
  meaning: () => ({}),
  resolve(_input, { name, images, image }) {
    const found = images.flatMap(({ source, names, listNames, wantsAll = false }) => {
      const result = image(source);
      if (!result) return [];
      const { images = [], attestations = [] } = result.index ?? {};
      const listed = [...images, ...attestations]
        .filter(({ digest }) => digest !== result.digest)
        .map(({ digest, path }) => ({ digest, path }));
      const list = result.index && {
        index: result.index.path,
        ...(listed.length > 0 && { listed }),
        ...(listNames && { listNames }),
      };
      return [{ result, names, list, wantsAll }];
    });
    return Promise.resolve({
      // Whatever their sources are.
      id: hashOf({
        kind: "images",
        images: found.map((
          { result: { id, manifest, index }, names, wantsAll },
        ) => [id, manifest, index?.digest, names, ...wantsAll ? ["all"] : []]),
      }),
      input: {
        name,
        kind: "images",
        images: found.map(({ result, names, list }): StageImage => ({
          format: "dir",
          path: result.path,
          id: result.id,
          digest: result.manifest,
          names,
          platform: parsePlatform(result.platform),
          ...list,
        })),
      },
    });
  },
};

/** The images of an input: source, names, and where in the input it stands. */
function list(
  { images }: ImagesInput,
): readonly { source: string; names: string | readonly string[] | undefined; path: string }[] {
  if (isList(images)) {
    return images.map(({ source, name }, index) => ({
      ...{ source, names: name, path: `images.${index}.source` },
    }));
  }
  return Object.entries(images).map(([source, names]) => ({
    ...{ source, names, path: `images.${source}` },
  }));
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList<Item>(value: readonly Item[] | object): value is readonly Item[] {
  return Array.isArray(value);
}

/** The tag of a name; nothing where the name is none, which its schema has told. */
function tagOf(name: string): string {
  try {
    return parseReference(name).tag ?? "";
  } catch (error) {
    if (error instanceof InvalidValueError) return "";
    throw error;
  }
}

function isTagged(name: string): boolean {
  return tagOf(name) !== "" && hasTag(name);
}

/** Images for several platforms cannot have one name: `app:2` is `app:2-arm64`, `app:2-arm-v7`. */
function withSuffix(name: string, suffix: string, ownTag: string | undefined): string {
  const reference = parseReference(name);
  if (suffix === "" && ownTag === undefined) return formatReference(reference);
  const { tag = "latest" } = reference;
  return formatReference({ ...reference, tag: `${ownTag ?? tag}${suffix}` });
}

function suffixOf({ os, architecture, variant }: Platform): string {
  const parts = [os === "linux" ? undefined : os, architecture, variant];
  return parts.filter(Boolean).map((part) => `-${part}`).join("");
}
