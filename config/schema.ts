import * as v from "valibot";
import { DIGEST } from "./digest.ts";
import type { Fallback, Source } from "./sources.ts";
import type { Input } from "./inputs.ts";
import type { Stage } from "./stages.ts";
import { readableBy } from "./invalid_value.ts";
import { parsePlatform } from "./platform.ts";
import { parseReference } from "./reference.ts";
import { DRIVERS, parseStorageLocation } from "./storage.ts";

/** An object without other keys; it reports each one, where `v.strictObject` stops at the first. */
export function closed<const Entries extends v.ObjectEntries>(entries: Entries) {
  const known = Object.keys(entries);
  return v.pipe(
    v.looseObject(entries),
    v.rawCheck<v.InferOutput<v.ObjectSchema<Entries, undefined>>>(({ dataset, addIssue }) => {
      const input = dataset.value;
      if (typeof input !== "object" || input === null) return;
      for (const [key, value] of Object.entries(input)) {
        if (known.includes(key)) continue;
        addIssue({
          message: `one of ${known.map((name) => `"${name}"`).join(", ")} in place of this key`,
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
function orList<Other extends v.GenericSchema, List extends v.GenericSchema>(
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
const Platform = readableBy(parsePlatform);
const Reference = readableBy(parseReference);
const Driver = v.picklist(DRIVERS);

const isUnicode = (text: string) => text.isWellFormed();
/** What the system takes as an argument. */
const Word = v.pipe(
  v.string(),
  v.regex(/^[^\0]*$/, "a text without NUL"),
  v.check(isUnicode, "a text that is Unicode"),
);
const Variable = v.pipe(Word, v.regex(/^[^=\0]+$/, "a name without an equals sign and NUL"));
const Strings = v.array(Word);
const StringMap = keyed(v.record(Word, Word));

const NAME_MAX = 255;
/** Linux counts bytes. */
const isName = (name: string) => new TextEncoder().encode(name).length <= NAME_MAX;

const Path = v.pipe(
  v.string(),
  v.check((path) => path !== "" && !path.includes("\0"), "a path that is not empty"),
  v.check(isUnicode, "a path that is Unicode"),
  v.check((path) => path.split("/").every(isName), `a path of names of at most ${NAME_MAX} bytes`),
);
const TreePath = v.pipe(
  Path,
  v.check(
    (path) => path.startsWith("/") && !path.split("/").includes(".."),
    'an absolute path inside the tree, without ".."',
  ),
);
const FileName = v.pipe(
  Path,
  v.check((name) => !name.includes("/") && name !== "." && name !== "..", 'a name without "/"'),
);

const docker = {
  type: v.literal("docker"),
  reference: Reference,
  tlsVerify: v.exactOptional(v.boolean()),
  authFile: v.exactOptional(Path),
  certDir: v.exactOptional(Path),
};
const storage = {
  type: v.literal("containers-storage"),
  location: v.exactOptional(readableBy(parseStorageLocation)),
  driver: v.exactOptional(Driver),
};
const dir = { type: v.literal("dir"), path: Path };
const archive = {
  type: v.picklist(["oci", "oci-archive", "docker-archive"]),
  path: Path,
  image: v.exactOptional(v.pipe(v.string(), v.nonEmpty("the name of an image in it"))),
};

const FallbackSchema: v.GenericSchema<Fallback> = v.variant("type", [
  closed(docker),
  closed({ ...storage, reference: v.exactOptional(Reference) }),
  closed(dir),
  closed(archive),
]);

const pins = {
  digest: v.exactOptional(Digest),
  id: v.exactOptional(Digest),
  platform: v.exactOptional(Platform),
  platforms: v.exactOptional(v.pipe(v.array(Platform), v.nonEmpty("at least one platform"))),
  index: v.exactOptional(v.boolean()),
  fallback: v.exactOptional(v.array(FallbackSchema)),
};

/** A source, as a config has it. */
export const SourceSchema: v.GenericSchema<Source> = v.variant("type", [
  closed({ ...docker, ...pins }),
  closed({ ...storage, reference: Reference, ...pins }),
  closed({ ...dir, ...pins }),
  closed({ ...archive, ...pins }),
]);

const Names = orList(Reference, v.pipe(v.array(Reference), v.nonEmpty("at least one name")));

/** An input, as a config has it. */
export const InputSchema: v.GenericSchema<Input> = v.variant("type", [
  closed({
    type: v.literal("images"),
    images: orList(
      keyed(v.record(v.string(), Names, "names by source, or a list of { source, name? }")),
      v.array(closed({ source: v.string(), name: v.exactOptional(Names) })),
    ),
  }),
  closed({
    type: v.literal("output"),
    stage: v.string(),
    name: v.exactOptional(FileName),
    as: v.exactOptional(Names),
  }),
  closed({ type: v.literal("tree"), path: Path }),
]);

const continued = { on: v.exactOptional(v.string()) };
const common = { inputs: Strings, ...continued };
const LEVEL = "a whole number from 1 to 19";
const compression = {
  compression: v.exactOptional(v.picklist(["gzip", "zstd", "none"])),
  level: v.exactOptional(
    v.pipe(v.number(), v.integer(LEVEL), v.minValue(1, LEVEL), v.maxValue(19, LEVEL)),
  ),
};
const UP_TO_9 = "a level from 1 to 9, as gzip has no other";
const fitsGzip = (usual: "gzip" | "zstd") => (stage: { compression?: string; level?: number }) =>
  (stage.compression ?? usual) !== "gzip" || (stage.level ?? 1) <= 9;

const DestinationSchema = v.variant("type", [
  closed({
    type: v.literal("containers-storage"),
    path: v.exactOptional(TreePath),
    driver: v.exactOptional(Driver),
  }),
  closed({
    type: v.picklist(["oci", "oci-archive", "dir", "docker-archive"]),
    path: TreePath,
  }),
  closed({
    type: v.literal("docker"),
    tlsVerify: v.exactOptional(v.boolean()),
    authFile: v.exactOptional(Path),
    certDir: v.exactOptional(Path),
  }),
]);

const ImageConfigSchema = keyed(closed({
  Cmd: v.exactOptional(Strings),
  Entrypoint: v.exactOptional(Strings),
  Env: v.exactOptional(Strings),
  ExposedPorts: v.exactOptional(Strings),
  User: v.exactOptional(v.string()),
  Labels: v.exactOptional(StringMap),
  StopSignal: v.exactOptional(v.string()),
  Volumes: v.exactOptional(Strings),
  WorkingDir: v.exactOptional(v.string()),
}));

/** A stage, as a config has it. */
export const StageSchema: v.GenericSchema<Stage> = v.variant("type", [
  closed({
    ...common,
    type: v.literal("install"),
    destination: DestinationSchema,
    into: v.exactOptional(Path),
    removeSignatures: v.exactOptional(v.boolean()),
    additionalImageStore: v.exactOptional(v.boolean()),
  }),
  v.pipe(
    closed({
      ...common,
      type: v.literal("oci-archive"),
      filename: FileName,
      platform: v.exactOptional(Platform),
      name: v.exactOptional(Reference),
      config: v.exactOptional(ImageConfigSchema),
      annotations: v.exactOptional(StringMap),
      ...compression,
    }),
    v.forward(v.partialCheck([["compression"], ["level"]], fitsGzip("gzip"), UP_TO_9), ["level"]),
  ),
  v.pipe(
    closed({
      ...common,
      type: v.literal("docker-archive"),
      path: v.exactOptional(TreePath),
      ...compression,
    }),
    v.forward(v.partialCheck([["compression"], ["level"]], fitsGzip("zstd"), UP_TO_9), ["level"]),
  ),
  v.pipe(
    closed({
      ...common,
      type: v.literal("container-loader"),
      engine: v.picklist(["podman", "docker"]),
      deleteAfterLoad: v.exactOptional(v.boolean()),
      ...compression,
    }),
    v.forward(v.partialCheck([["compression"], ["level"]], fitsGzip("zstd"), UP_TO_9), ["level"]),
  ),
  closed({ ...common, type: v.literal("copy-tree"), to: v.exactOptional(TreePath) }),
  closed({
    ...continued,
    inputs: v.exactOptional(Strings),
    type: v.literal("exec"),
    command: v.pipe(
      Strings,
      v.nonEmpty("a program and its arguments"),
      v.check(([program]) => program !== "", "a program whose name is not empty"),
    ),
    env: v.exactOptional(keyed(v.record(Variable, Word))),
    network: v.exactOptional(v.boolean()),
  }),
]);

const Name = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    "a name of at most 100 letters, digits, dots, underscores and dashes, beginning with a letter or digit",
  ),
);

const SignedIdentity = v.variant("type", [
  closed({ type: v.picklist(["matchExact", "matchRepoDigestOrExact", "matchRepository"]) }),
  closed({ type: v.literal("exactReference"), dockerReference: Reference }),
  closed({ type: v.literal("exactRepository"), dockerRepository: Reference }),
  closed({ type: v.literal("remapIdentity"), prefix: v.string(), signedPrefix: v.string() }),
]);

const Requirement = v.variant("type", [
  closed({ type: v.picklist(["reject", "insecureAcceptAnything"]) }),
  closed({
    type: v.picklist(["signedBy", "sigstoreSigned"]),
    keyPath: Path,
    signedIdentity: v.exactOptional(SignedIdentity),
  }),
]);

// As docker has it: a name without a dot, a port, or "localhost" is not a host.
const HOST = String.raw`(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+(?=:\d)|\[[\da-fA-F:]+\])(?::\d+)?`;
const PATH = String.raw`/[a-z\d]+(?:[._-]+[a-z\d]+)*`;
const Scope = v.pipe(
  v.string(),
  v.regex(
    new RegExp(
      String
        .raw`^(?:\*(?:\.[\w-]+)+|${HOST}(?:(?:${PATH})+(?::\w[\w.-]*|@sha256:[\da-f]{64})?)?)?$`,
    ),
    '"host[:port]", "host[:port]/path[:tag]", "*.domain" or ""',
  ),
);
const MirrorPrefix = v.pipe(
  v.string(),
  v.regex(
    new RegExp(String.raw`^(?:\*(?:\.[\w-]+)+|${HOST}(?:${PATH})*)$`),
    '"host[:port][/path]" or "*.domain"',
  ),
);
const MirrorLocation = v.pipe(
  v.string(),
  v.regex(new RegExp(`^${HOST}(?:${PATH})*$`), '"host[:port][/path]"'),
);
const MirrorObject = closed({
  location: MirrorLocation,
  tlsVerify: v.exactOptional(v.boolean()),
  tags: v.exactOptional(v.boolean()),
});
const anyMirror = v.union([MirrorLocation, MirrorObject]);
/** The mistakes are those of the one that was meant. */
const MirrorSchema = v.lazy((input) =>
  input === undefined ? anyMirror : typeof input === "string" ? MirrorLocation : MirrorObject
);

function configOf<
  Source extends v.GenericSchema,
  Input extends v.GenericSchema,
  Stage extends v.GenericSchema,
>(source: Source, input: Input, stage: Stage) {
  return keyed(closed({
    $schema: v.exactOptional(v.string()),
    platform: v.exactOptional(Platform),
    digests: v.exactOptional(v.picklist(["require", "warn", "ignore"])),
    policy: v.exactOptional(closed({
      default: Requirement,
      docker: v.exactOptional(keyed(v.record(Scope, Requirement))),
    })),
    registriesD: v.exactOptional(Path),
    mirrors: v.exactOptional(keyed(v.record(MirrorPrefix, v.array(MirrorSchema)))),
    sources: v.exactOptional(keyed(v.record(Name, source)), {}),
    inputs: v.exactOptional(keyed(v.record(Name, input)), {}),
    stages: v.exactOptional(keyed(v.record(Name, stage)), {}),
  }));
}

/**
 * The shape of a config; whether its names name anything is for `compile()` to find out, which
 * therefore checks the entries one by one.
 */
export const ConfigSchema = configOf(v.unknown(), v.unknown(), v.unknown());

/** The shape of a config and of all its entries, for editors. */
export const WholeConfigSchema = configOf(SourceSchema, InputSchema, StageSchema);
