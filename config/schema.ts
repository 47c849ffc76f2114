import * as v from "valibot";
import { CacheSchema } from "./cache.ts";
import type { Config } from "./config.ts";
import { InputSchema } from "./inputs.ts";
import { RegistrySettingsSchema } from "./registries.ts";
import { RequirementSchema } from "./requirements.ts";
import type { Same } from "./same.ts";
import {
  closed,
  described,
  HOST,
  keyed,
  PATH,
  Path,
  Platform,
  RepositoryPrefix,
} from "./schema_parts.ts";
import { SourceSchema } from "./sources.ts";
import { StageSchema } from "./stages/schemas.ts";

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
  location: described(RepositoryPrefix, "host[:port][/path], in place of the registry's own"),
  tlsVerify: v.exactOptional(
    described(v.boolean(), "Whether TLS is required and its certificates checked"),
  ),
  tags: v.exactOptional(
    described(
      v.boolean(),
      "Whether it may also say what a tag stands for, for networks that reach nothing else; false if absent",
    ),
  ),
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
    $schema: v.exactOptional(v.pipe(v.string(), v.description("Where this schema is"))),
    platform: v.exactOptional(
      v.pipe(
        Platform,
        v.description("Platform of sources that name none; this machine's if absent"),
      ),
    ),
    digests: v.exactOptional(v.pipe(
      v.picklist(["require", "warn", "ignore"]),
      v.description('What to do about sources that nothing pins; "warn" if absent'),
    )),
    policy: v.exactOptional(described(
      v.pipe(
        closed({
          default: described(
            RequirementSchema,
            "What is asked where no scope fits, and of all that is no registry: storages, folders, archives, those that an old osbuild left in the store as well",
          ),
          docker: v.exactOptional(
            described(
              keyed(v.record(Scope, RequirementSchema)),
              'What is asked of registries, by scope; the longest that fits counts: host[:port]/path:tag, host[:port]/path, a beginning of it (host[:port]), *.domain, or "" for all the rest',
            ),
          ),
        }),
        v.description("Which images are trusted; what this machine says if absent"),
      ),
      "Which images are trusted; what this machine says if absent",
    )),
    registriesD: v.exactOptional(
      v.pipe(Path, v.description("Folder that says where signatures are")),
    ),
    mirrors: v.exactOptional(v.pipe(
      keyed(v.record(MirrorPrefix, v.array(MirrorSchema))),
      v.description("Where images may come from as well, by registry or a part of its paths"),
    )),
    registries: v.exactOptional(v.pipe(
      RegistrySettingsSchema,
      v.description(
        "How registries are reached, by host[:port][/path]; the longest that fits counts",
      ),
    )),
    cache: v.exactOptional(
      v.pipe(
        v.array(CacheSchema),
        v.description("Repositories that keep images for many machines, in order"),
      ),
    ),
    sources: v.exactOptional(
      v.pipe(keyed(v.record(Name, source)), v.description("Where content comes from, by name")),
      {},
    ),
    inputs: v.exactOptional(
      v.pipe(keyed(v.record(Name, input)), v.description("What stages read, by name")),
      {},
    ),
    stages: v.exactOptional(
      v.pipe(keyed(v.record(Name, stage)), v.description("What turns inputs into trees, by name")),
      {},
    ),
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
