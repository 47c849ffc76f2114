import { UsageError } from "../../errors/mod.ts";
import { LockSchema } from "../../graph/lock_schema.ts";
import type { Command } from "../command.ts";

/** `stowage schema`. */
export const schema: Command = {
  usage: "[config|lock]",
  summary: "prints the JSON Schema of the config, or of the lock",
  flags: [],
  examples: [
    { line: "schema > images.schema.json", does: "of the config, for an editor" },
    { line: "schema lock", does: "of the lock" },
  ],
  completes: ["config", "lock"],
  maxWords: 1,
  async run({ flags, terminal, isJson }) {
    const [name = "config"] = flags.words;
    const { toJsonSchema } = await import("@valibot/to-json-schema");
    const { WholeConfigSchema } = await import("../../../config/schema.ts");
    const schema = name === "config" ? WholeConfigSchema : name === "lock" ? LockSchema : undefined;
    if (!schema) {
      throw new UsageError(`Cannot print a schema of "${name}": expected "config" or "lock"`);
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
