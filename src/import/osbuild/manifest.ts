import * as v from "valibot";
import { ImportError } from "../../errors/mod.ts";
import type { ImportFile } from "../import_kind.ts";

/** A stage of a manifest, and where it stands. */
export interface ManifestStage {
  /** Such as `org.osbuild.skopeo`. */
  readonly type: string;
  /** JSON path of the stage. */
  readonly path: string;
  /** What is done. */
  readonly options: unknown;
  /** What it reads, by the names that the stage gives it. */
  readonly inputs: Readonly<Record<string, ManifestInput>>;
  /** What else is said of it, such as `mounts`. */
  readonly more?: readonly string[];
}

/** What a stage reads. */
export interface ManifestInput {
  /** Such as `org.osbuild.containers`. */
  readonly type: string;
  /** `org.osbuild.source` or `org.osbuild.pipeline`. */
  readonly origin: string;
  /** What is meant, and how. */
  readonly references: readonly { readonly id: string; readonly options: unknown }[];
}

/** Stages that follow each other on one tree. */
export interface Pipeline {
  /** Its name; unique. */
  readonly name: string;
  /** Its stages, in order. */
  readonly stages: readonly ManifestStage[];
}

/** An item of a source, and where it stands. */
export interface SourceItem {
  /** What it is indexed by. */
  readonly id: string;
  /** JSON path of the item. */
  readonly path: string;
  /** What the source says of it. */
  readonly value: unknown;
}

/** A manifest, of either version. */
export interface Manifest {
  /** Its pipelines, in order. */
  readonly pipelines: readonly Pipeline[];
  /** The items of each source, `items` and `digests` alike. */
  readonly sources: ReadonlyMap<string, readonly SourceItem[]>;
}

const Options = v.optional(v.unknown(), {});
const References = v.union([
  v.array(v.union([
    v.pipe(v.string(), v.transform((id) => ({ id, options: undefined }))),
    v.pipe(
      v.object({ id: v.string(), options: v.optional(v.unknown()) }),
      v.transform(({ id, options }) => ({ id, options })),
    ),
  ])),
  v.pipe(
    v.record(v.string(), v.unknown()),
    v.transform((record) => Object.entries(record).map(([id, options]) => ({ id, options }))),
  ),
]);
const Input = v.object({
  type: v.string(),
  origin: v.optional(v.string(), ""),
  references: v.optional(References, []),
});
const isSaid = (value: unknown) =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;
const Stage = v.pipe(
  v.looseObject({
    type: v.string(),
    options: Options,
    inputs: v.optional(v.record(v.string(), Input), {}),
  }),
  v.transform(({ type, options, inputs, ...rest }) => ({
    ...{ type, options, inputs },
    more: Object.keys(rest).filter((key) => isSaid(rest[key])),
  })),
);
const Sources = v.optional(
  v.record(
    v.string(),
    v.looseObject({
      items: v.optional(v.record(v.string(), v.unknown())),
      digests: v.optional(v.record(v.string(), v.unknown())),
    }),
  ),
  {},
);
const Version2 = v.object({
  version: v.literal("2"),
  pipelines: v.optional(
    v.array(v.object({ name: v.string(), stages: v.optional(v.array(Stage), []) })),
    [],
  ),
  sources: Sources,
});

/** In version 1 the name of a stage is its type. */
const StageOf1 = v.object({ name: v.string(), options: Options });
interface PipelineOf1 {
  readonly build?: { readonly pipeline?: PipelineOf1 | undefined } | undefined;
  readonly stages: readonly v.InferOutput<typeof StageOf1>[];
  readonly assembler?: v.InferOutput<typeof StageOf1> | undefined;
}
const Pipeline1: v.GenericSchema<unknown, PipelineOf1> = v.object({
  build: v.optional(v.object({ pipeline: v.optional(v.lazy(() => Pipeline1)) })),
  stages: v.optional(v.array(StageOf1), []),
  assembler: v.optional(StageOf1),
});
const Version1 = v.object({ pipeline: Pipeline1, sources: Sources });

/**
 * Reads a manifest of osbuild, of version 2 or 1.
 *
 * @param file The file.
 * @returns The manifest.
 * @throws {ImportError} If it is none.
 */
export function readManifest({ path, text }: ImportFile): Manifest {
  const fail = (why: string, cause?: unknown) =>
    new ImportError(`Cannot read "${path}" as a manifest of osbuild: ${why}`, {
      hint: "osbuild takes JSON; an .mpp.yaml has to go through osbuild-mpp first",
      ...(cause !== undefined && { cause }),
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw fail(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const isFirst = v.is(v.object({ pipeline: v.unknown() }), json);
  const manifest = isFirst ? v.safeParse(Version1, json) : v.safeParse(Version2, json);
  if (!manifest.success) {
    const [issue] = manifest.issues;
    const at = v.getDotPath(issue);
    throw fail(`${at === null ? "" : `at ${at}, `}expected ${issue.expected ?? "something else"}`);
  }
  const { output } = manifest;
  return {
    pipelines: "pipeline" in output ? fromVersion1(output.pipeline) : fromVersion2(output),
    sources: new Map(
      Object.entries(output.sources).map(([source, { items = {}, digests = {} }]) => [
        source,
        Object.entries({ items, digests }).flatMap(([key, entries]) =>
          Object.entries(entries).map(([id, value]) => ({
            id,
            path: `sources["${source}"].${key}["${id}"]`,
            value,
          }))
        ),
      ]),
    ),
  };
}

function fromVersion2({ pipelines }: v.InferOutput<typeof Version2>): Pipeline[] {
  return pipelines.map(({ name, stages }, at) => ({
    name,
    stages: stages.map((stage, index) => ({
      ...stage,
      path: `pipelines[${at}].stages[${index}]`,
    })),
  }));
}

/** The tree of a pipeline is what its assembler reads. */
function fromVersion1(
  { build, stages, assembler }: PipelineOf1,
  path = "pipeline",
  prefix = "",
): Pipeline[] {
  const tree = `${prefix}tree`;
  const own = stages.map(({ name, options }, index) => ({
    ...{ type: name, options, inputs: {}, path: `${path}.stages[${index}]` },
  }));
  const base = {
    type: "org.osbuild.tree",
    origin: "org.osbuild.pipeline",
    references: [{ id: `name:${tree}`, options: undefined }],
  };
  return [
    ...(build?.pipeline
      ? fromVersion1(build.pipeline, `${path}.build.pipeline`, `${prefix}build-`)
      : []),
    { name: tree, stages: own },
    ...(assembler
      ? [{
        name: `${prefix}assembler`,
        stages: [{
          ...{ type: assembler.name, options: assembler.options, path: `${path}.assembler` },
          inputs: { base },
        }],
      }]
      : []),
  ];
}
