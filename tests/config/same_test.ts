/**
 * What holds interfaces and their schemas together: `deno check` fails if a line below is right
 * after all. Real kinds, changed each in one place, stand for the next option of anyone.
 */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import type { CompressionOptions, Destination, Stage, StageOf } from "@stowage/stowage";
import type { Same } from "../../config/same.ts";
import { closed } from "../../config/schema_parts.ts";
import { CopyTreeSchema } from "../../config/stages/copy_tree.ts";
import type { InstallSchema } from "../../config/stages/install.ts";
import type { StageSchema } from "../../config/stages/schemas.ts";
import { stageEntries } from "../../config/stages/stage_options.ts";

type CopyTree = v.InferOutput<typeof CopyTreeSchema>;
type Install = v.InferOutput<typeof InstallSchema>;
type Without<T, Key> = T extends unknown ? Omit<T, Key & keyof T> : never;

const LargerSchema = closed({
  ...CopyTreeSchema.pipe[0].entries,
  mode: v.exactOptional(v.number()),
});

true satisfies Same<CopyTree, StageOf<"copy-tree">>;
true satisfies Same<v.InferOutput<typeof StageSchema>, Stage>;
// @ts-expect-error `mode` is an option of the interface only
true satisfies Same<CopyTree, StageOf<"copy-tree"> & { readonly mode?: number }>;
// @ts-expect-error `mode` is an option of the schema only
true satisfies Same<v.InferOutput<typeof LargerSchema>, StageOf<"copy-tree">>;
// @ts-expect-error `to` may be absent
true satisfies Same<CopyTree, StageOf<"copy-tree"> & { readonly to: string }>;
// @ts-expect-error `to` is text
true satisfies Same<CopyTree, Without<StageOf<"copy-tree">, "to"> & { readonly to?: number }>;
// @ts-expect-error a kind is missing
true satisfies Same<v.InferOutput<typeof StageSchema>, Exclude<Stage, StageOf<"exec">>>;
// @ts-expect-error a destination of the interface has one option more
true satisfies Same<Install["destination"], Destination & { readonly mode?: number }>;
// @ts-expect-error the schema takes one compressor more
true satisfies Same<
  { compression?: "gzip" | "zstd" | "none" | "xz"; level?: number },
  CompressionOptions
>;
// @ts-expect-error items of a list have one key more
true satisfies Same<
  { list: { a: string; b?: string }[] },
  { readonly list: readonly { readonly a: string }[] }
>;

describe("the schema of a stage", () => {
  it("takes what every stage takes, beside its own options", () => {
    const own = Object.keys(CopyTreeSchema.pipe[0].entries);
    assertEquals(own, [...Object.keys(stageEntries), "type", "to"]);
  });
});
