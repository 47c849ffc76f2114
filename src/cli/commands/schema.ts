import type { GenericSchema } from "valibot";
import { UsageError } from "../../errors/mod.ts";
import type { Command } from "../command.ts";

/** What there is a schema of. */
const SCHEMAS: Readonly<Record<string, () => Promise<GenericSchema>>> = {
  config: async () => (await import("../../../config/schema.ts")).WholeConfigSchema,
  lock: async () => (await import("../../graph/lock_schema.ts")).LockSchema,
  report: async () => (await import("../../report/report.ts")).ReportSchema,
};

/** `stowage schema`. */
export const schema: Command = {
  usage: "[config|lock|report]",
  flags: [],
  examples: [
    { line: "schema > images.schema.json", does: "of the config, for an editor" },
    { line: "schema lock", does: "of the lock" },
    { line: "schema report", does: "of what report --format json prints" },
  ],
  completes: Object.keys(SCHEMAS),
  maxWords: 1,
  async run({ flags, terminal, isJson }) {
    const [name = "config"] = flags.words;
    const { toJsonSchema } = await import("@valibot/to-json-schema");
    const schema = Object.hasOwn(SCHEMAS, name) ? await SCHEMAS[name]?.() : undefined;
    if (!schema) {
      const known = Object.keys(SCHEMAS).map((name) => `"${name}"`).join(", ");
      throw new UsageError(`Cannot print a schema of "${name}": expected one of ${known}`);
    }
    // What valibot checks by functions, JSON Schema has no words for.
    const json = toJsonSchema(schema, {
      errorMode: "ignore",
      typeMode: "input",
      overrideSchema: ({ valibotSchema, jsonSchema }) =>
        valibotSchema.type === "loose_object"
          ? { ...jsonSchema, additionalProperties: false }
          : undefined,
    });
    if (!isJson) terminal.out(JSON.stringify(json, undefined, 2));
    return { ok: true, schema: json };
  },
};
