import * as v from "valibot";
import type { Config } from "./config.ts";
import { InputSchema } from "./inputs.ts";
import { RequirementSchema } from "./requirements.ts";
import type { Same } from "./same.ts";
import { closed, HOST, keyed, PATH, Path, Platform, RepositoryPrefix } from "./schema_parts.ts";
import { SourceSchema } from "./sources.ts";
import { StageSchema } from "./stages/mod.ts";

const Name = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    "a name of at most 100 letters, digits, dots, underscores and dashes, beginning with a letter or digit",
  ),
);

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
const MirrorObject = closed({
  location: RepositoryPrefix,
  tlsVerify: v.exactOptional(v.boolean()),
  tags: v.exactOptional(v.boolean()),
});
const anyMirror = v.union([RepositoryPrefix, MirrorObject]);
/** The mistakes are those of the one that was meant. */
const MirrorSchema = v.lazy((input) =>
  input === undefined ? anyMirror : typeof input === "string" ? RepositoryPrefix : MirrorObject
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
      default: RequirementSchema,
      docker: v.exactOptional(keyed(v.record(Scope, RequirementSchema))),
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
true satisfies Same<
  v.InferOutput<typeof WholeConfigSchema>,
  Config & Required<Pick<Config, "sources" | "inputs" | "stages">>
>;
