import * as v from "valibot";
import { DIGEST } from "./digest.ts";
import { readableBy } from "./invalid_value.ts";
import { parsePlatform, type PlatformName } from "./platform.ts";
import { NO_IPV6, parseReference } from "./reference.ts";
import { DRIVERS } from "./storage.ts";

/** A schema with what it is for, in the words of the interface: JSON Schema tells it to editors. */
export function described<const Schema extends v.GenericSchema>(schema: Schema, text: string) {
  return v.pipe(schema, v.description(text));
}

/**
 * An object without other keys; it reports each one, where `v.strictObject` stops at the first.
 *
 * @param entries The keys that it has.
 * @param wanted What a key is, where there are too many to name them all.
 */
export function closed<const Entries extends v.ObjectEntries>(entries: Entries, wanted?: string) {
  const known = Object.keys(entries);
  const one = wanted ?? `one of ${known.map((name) => `"${name}"`).join(", ")}`;
  return v.pipe(
    v.looseObject(entries),
    v.rawCheck<v.InferOutput<v.ObjectSchema<Entries, undefined>>>(({ dataset, addIssue }) => {
      const input = dataset.value;
      if (typeof input !== "object" || input === null) return;
      for (const [key, value] of Object.entries(input)) {
        if (known.includes(key)) continue;
        addIssue({
          expected: known.map((name) => `"${name}"`).join(" | "), // as valibot writes it
          message: `${one} in place of this key`,
          path: [{ type: "object", origin: "key", input: { ...input }, key, value }],
        });
      }
    }),
  );
}

/** An object of any keys; valibot takes lists for objects, and leaves some keys out unseen. */
export function keyed<Schema extends v.GenericSchema>(schema: Schema) {
  return v.lazy((input) =>
    v.pipe(
      schema,
      v.rawCheck(({ addIssue }) => {
        if (typeof input !== "object" || input === null) return;
        if (Array.isArray(input)) addIssue({ message: "an object in place of this list", input });
        for (const key of ["__proto__", "prototype", "constructor"]) {
          if (!Object.hasOwn(input, key)) continue;
          const value: unknown = Reflect.get(input, key);
          const item = { type: "object", origin: "key", input: { ...input }, key, value } as const;
          addIssue({ message: "another key, as JavaScript keeps this one", path: [item] });
        }
      }),
    )
  );
}

/** A list or something else; the mistakes are those of the one that was meant. */
export function orList<Other extends v.GenericSchema, List extends v.GenericSchema>(
  other: Other,
  list: List,
) {
  const both = v.union([other, list]);
  return v.lazy((input) => input === undefined ? both : Array.isArray(input) ? list : other);
}

/** The digest of a manifest, an index or a config. */
export const Digest: v.GenericSchema<string> = v.pipe(
  v.string(),
  v.regex(DIGEST, '"sha256:" and 64 lower-case hex digits'),
);
/** `os/arch[/variant]`, or one of Debian's names. */
export const Platform: v.GenericSchema<PlatformName> = readableBy(parsePlatform);
/** A reference of an image. */
export const Reference = readableBy(parseReference);
/** A storage driver. */
export const Driver = v.picklist(DRIVERS);

/** Where a docker daemon listens; nothing in it may be a login. */
export const DaemonHost = v.pipe(
  v.string(),
  v.regex(
    /^(?:unix:\/\/\/[^\0]+|(?:tcp|https?):\/\/[^\s/@\0]+)$/,
    '"unix:///path/of/docker.sock", "tcp://host:port" or "http://host:port"',
  ),
);

const isUnicode = (text: string) => text.isWellFormed();
/** What the system takes as an argument. */
export const Word = v.pipe(
  v.string(),
  v.regex(/^[^\0]*$/, "a text without NUL"),
  v.check(isUnicode, "a text that is Unicode"),
);
/** Several of them. */
export const Strings = v.array(Word);
/** Several of them by name. */
export const StringMap = keyed(v.record(Word, Word));

const NAME_MAX = 255;
/** Linux counts bytes. */
const isName = (name: string) => new TextEncoder().encode(name).length <= NAME_MAX;

/** A path of this machine. */
export const Path = v.pipe(
  v.string(),
  v.check((path) => path !== "" && !path.includes("\0"), "a path that is not empty"),
  v.check(isUnicode, "a path that is Unicode"),
  v.check((path) => path.split("/").every(isName), `a path of names of at most ${NAME_MAX} bytes`),
);
/** A path in a tree. */
export const TreePath = v.pipe(
  Path,
  v.check(
    (path) => path.startsWith("/") && !path.split("/").includes(".."),
    'an absolute path inside the tree, without ".."',
  ),
);
/** A pattern of paths in a tree. */
export const TreePattern = v.pipe(
  Path,
  v.check(
    (pattern) => !pattern.split("/").includes("..") && /[^/.]/.test(pattern),
    'a pattern of paths in the tree, without ".."',
  ),
);
/** The name of a file. */
export const FileName = v.pipe(
  Path,
  v.check((name) => !name.includes("/") && name !== "." && name !== "..", 'a name without "/"'),
);

/** One name of an image, or several. */
export const Names = orList(
  Reference,
  v.pipe(v.array(Reference), v.nonEmpty("at least one name")),
);

/** As docker has it: a name without a dot, a port, or "localhost" is not a host. */
export const HOST = String
  .raw`(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+(?=:\d)|\[[\da-fA-F:]+\])(?::\d+)?`;
/** What comes behind it, part by part. */
export const PATH = String.raw`/[a-z\d]+(?:[._-]+[a-z\d]+)*`;
/** How the names of a registry begin. */
export const RepositoryPrefix = v.pipe(
  v.string(),
  v.check((text) => !text.startsWith("["), NO_IPV6),
  v.regex(new RegExp(`^${HOST}(?:${PATH})*$`), '"host[:port][/path]"'),
);
