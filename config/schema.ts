import * as v from "valibot";
import type { Config } from "./config.ts";
import { InputSchema } from "./inputs.ts";
import { NO_IPV6 } from "./reference.ts";
import type { Same } from "./same.ts";
import { closed, keyed, Path, Platform, Reference } from "./schema_parts.ts";
import { SourceSchema } from "./sources.ts";
import { StageSchema } from "./stages/mod.ts";

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
  v.check((text) => !text.startsWith("["), NO_IPV6),
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
true satisfies Same<
  v.InferOutput<typeof WholeConfigSchema>,
  Config & Required<Pick<Config, "sources" | "inputs" | "stages">>
>;
