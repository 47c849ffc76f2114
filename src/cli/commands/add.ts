import { basename, extname } from "@std/path";
import * as v from "valibot";
import {
  formatReference,
  InvalidValueError,
  parsePlatform,
  parseReference,
} from "../../../config/mod.ts";
import { ConfigFileError, UsageError } from "../../errors/mod.ts";
import { writeAtomically } from "../../lib/fs/files.ts";
import { readOutsideText } from "../../lib/fs/outside_file.ts";
import { plain } from "../../lib/words.ts";
import type { Command } from "../command.ts";
import { findConfig, lockOf } from "../config_file.ts";
import { addToModule, entryOf, type NewSource } from "../edit_config.ts";
import { onlyNotes } from "../reporter.ts";
import { readTlsVerify, TLS_VERIFY } from "../tls_verify.ts";

/** `stowage add`. */
export const add: Command = {
  usage: "REF…",
  summary: "adds images of registries to the config, and pins them in the lock",
  flags: [
    { name: "as", value: "NAME", help: "what the source is called; the image's own name" },
    { ...TLS_VERIFY, help: "whether TLS is required of the registry (true)" },
  ],
  examples: [
    { line: "add docker.io/library/nginx:1.27", does: 'the source "nginx"' },
    {
      line: "add registry.acme.io/edge/agent:1.4 --as agent --platform linux/arm64",
      does: "under another name, for one platform",
    },
  ],
  async run({ flags, load, onEvent, signal, terminal, isJson, isQuiet }) {
    const sources = readSources(flags.words, {
      as: flags.text("as"),
      platform: flags.text("platform"),
      tlsVerify: readTlsVerify(flags),
    });
    const file = await findConfig(flags.text("config"));
    const before = await readOutsideText(file);
    const edited = extname(file) === ".json"
      ? addToJson(before, sources)
      : addToModule(before, sources);
    if (edited === undefined) {
      const lines = sources.map((source) => `    ${entryOf(source)},`);
      throw new ConfigFileError(
        [`Cannot add to "${file}": it is not of the usual form`, ...lines].join("\n"),
        { hint: 'paste these lines into its "sources", and run stowage lock' },
      );
    }
    for (const { name } of sources) {
      if (!edited.names.includes(name)) continue;
      throw new UsageError(`Cannot add "${name}": there is a source of that name`, {
        hint: "choose another one with --as NAME",
      });
    }
    await writeAtomically(file, edited.text);
    const names = sources.map(({ name }) => name);
    try {
      const stowage = await load({ lock: "ignored" });
      if (!flags.has("offline")) {
        const run = { names, signal, onEvent: isJson ? onEvent : onlyNotes(onEvent) };
        await stowage.lock(lockOf(file), run);
      }
    } catch (error) {
      // What cannot be pinned is not in the config either; somebody else's changes stay.
      if (await readOutsideText(file) === edited.text) await writeAtomically(file, before);
      throw error;
    }
    if (!isJson && !isQuiet) {
      const what = names.map((name) => `"${name}"`).join(", ");
      const where = flags.has("offline") ? `; run "stowage lock" to pin it` : " and its lock";
      terminal.out(`Added ${plain(what)} to ${plain(basename(file))}${where}`);
    }
    return { ok: true, config: file, sources: names };
  },
};

function readSources(
  references: readonly string[],
  { as, platform, tlsVerify }: {
    readonly as: string | undefined;
    readonly platform: string | undefined;
    readonly tlsVerify: boolean | undefined;
  },
): NewSource[] {
  if (references.length === 0) throw new UsageError("Cannot add nothing: say which image");
  if (as !== undefined && references.length > 1) {
    throw new UsageError(`Cannot call ${references.length} sources "${as}"`, {
      hint: "add them one by one",
    });
  }
  const options = {
    ...(platform !== undefined && { platform }),
    ...(tlsVerify === false && { tlsVerify }),
  };
  const sources = references.map((text) => {
    try {
      if (platform !== undefined) parsePlatform(platform);
      const reference = parseReference(text);
      const name = as ?? basename(reference.path);
      return { name, reference: formatReference(reference), options };
    } catch (cause) {
      if (!(cause instanceof InvalidValueError)) throw cause;
      throw new UsageError(`Cannot add "${text}": ${cause.message}`, {
        hint: "images that are not in a registry are written into the config by hand",
      });
    }
  });
  const names = sources.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return sources;
  throw new UsageError(`Cannot call two sources "${twice}"`, { hint: "add them one by one" });
}

const JsonSchema = v.looseObject({
  sources: v.optional(v.record(v.string(), v.unknown()), {}),
});

function addToJson(text: string, sources: readonly NewSource[]) {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const config = v.safeParse(JsonSchema, json);
  if (!config.success) return undefined;
  const added = sources.map(({ name, reference, options }) => {
    return [name, { type: "docker", reference, ...options }];
  });
  const all = { ...config.output.sources, ...Object.fromEntries(added) };
  const indent = /\n( +|\t)"/.exec(text)?.[1] ?? 2;
  return {
    text: `${JSON.stringify({ ...Object(json), sources: all }, undefined, indent)}\n`,
    names: Object.keys(config.output.sources),
  };
}
