import denoJson from "../../../deno.json" with { type: "json" };
import type { Command } from "../command.ts";

/** `stowage version`. */
export const version: Command = {
  usage: "",
  flags: [],
  examples: [{ line: "version", does: "the same as `stowage --version`" }],
  maxWords: 0,
  run({ terminal, isJson }) {
    const { version } = denoJson;
    if (!isJson) terminal.out(`stowage ${version}`);
    return Promise.resolve({ ok: true, version });
  },
};
