import * as v from "valibot";
import type { Same } from "./same.ts";
import { closed, FileName, keyed, Names, orList, Path } from "./schema_parts.ts";

/** An image of a source, and the names that it has where it is installed. */
export interface NamedImage<SourceName extends string = string> {
  /** Name of the source. */
  readonly source: SourceName;
  /** One reference or several; the source's own if absent. */
  readonly name?: string | readonly string[];
}

/** For each source its name, or names, where it is installed; or a list of both. */
export type ImageNames<SourceName extends string = string> =
  | Readonly<Partial<Record<SourceName, string | readonly string[]>>>
  | readonly NamedImage<SourceName>[];

/** Images of sources, as plain data. */
export interface ImagesInput<SourceName extends string = string> {
  /** The literal that tells inputs apart. */
  readonly type: "images";
  /** Names by source, or a list of both. */
  readonly images: ImageNames<SourceName>;
}

/** An archive that another stage made, as plain data. */
export interface OutputInput<StageName extends string = string> {
  /** The literal that tells inputs apart. */
  readonly type: "output";
  /** Name of the stage. */
  readonly stage: StageName;
  /** Name of the file in that stage's tree; the first by name if absent. */
  readonly name?: string;
  /**
   * What the image is called where it is installed, one reference or several; the archive's own
   * name, or else `localhost/<stage>:latest`, if absent.
   */
  readonly as?: string | readonly string[];
}

/** A tree on disk, as plain data. */
export interface TreeInput {
  /** The literal that tells inputs apart. */
  readonly type: "tree";
  /** The folder, absolute or relative to the config. */
  readonly path: string;
}

/** An input, as plain data. */
export type Input<SourceName extends string = string, StageName extends string = string> =
  // With no names at all, the compiler would take any record for one of `ImageNames`.
  | ([SourceName] extends [never] ? never : ImagesInput<SourceName>)
  | OutputInput<StageName>
  | TreeInput;

const ImagesSchema = closed({
  type: v.literal("images"),
  images: orList(
    keyed(v.record(v.string(), Names, "names by source, or a list of { source, name? }")),
    v.array(closed({ source: v.string(), name: v.exactOptional(Names) })),
  ),
});
true satisfies Same<v.InferOutput<typeof ImagesSchema>, ImagesInput>;

const OutputSchema = closed({
  type: v.literal("output"),
  stage: v.string(),
  name: v.exactOptional(FileName),
  as: v.exactOptional(Names),
});
true satisfies Same<v.InferOutput<typeof OutputSchema>, OutputInput>;

const TreeSchema = closed({ type: v.literal("tree"), path: Path });
true satisfies Same<v.InferOutput<typeof TreeSchema>, TreeInput>;

/** The schema of {@linkcode Input}. */
export const InputSchema = v.variant("type", [ImagesSchema, OutputSchema, TreeSchema]);
true satisfies Same<v.InferOutput<typeof InputSchema>, Input>;

/**
 * Images of sources.
 *
 * @param images For each source its name, or names, where it is installed; or a list of
 * `{ source, name }`, where a source may stand more than once.
 * @returns The input, as plain data.
 *
 * @example Usage
 * ```ts
 * import { images } from "@stowage/stowage";
 *
 * images({ proxy: "localhost/caddy:2", agent: ["localhost/agent:1.4", "localhost/agent:latest"] });
 * ```
 */
export function images<const SourceName extends string>(
  images: ImageNames<SourceName>,
): ImagesInput<SourceName> {
  return { type: "images", images };
}

/**
 * The archive that another stage made.
 *
 * @param stage Name of the stage.
 * @param options `name` (the file in that stage's tree; the first regular file by name if absent)
 * and `as` (what the image is called where it is installed).
 * @returns The input, as plain data.
 */
export function output<const StageName extends string>(
  stage: StageName,
  options: Omit<OutputInput, "type" | "stage"> = {},
): OutputInput<StageName> {
  return { type: "output", stage, ...options };
}

/**
 * A tree on disk. Stages see paths, types, modes, owners, links, extended attributes that images
 * have, ACLs and bytes; every time is `SOURCE_DATE_EPOCH`, and the folder itself has mode 755.
 *
 * @param path The folder, absolute or relative to the config.
 * @returns The input, as plain data.
 */
export function tree(path: string): TreeInput {
  return { type: "tree", path };
}
