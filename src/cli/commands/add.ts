import { basename } from "@std/path";
import { ConfigFileError, UsageError } from "../../errors/mod.ts";
import { writeAtomically } from "../../lib/fs/files.ts";
import { readOutsideText } from "../../lib/fs/outside_file.ts";
import { plain } from "../../lib/words.ts";
import type { Command } from "../command.ts";
import { findConfig, lockOf } from "../config_file.ts";
import { onlyNotes } from "../reporter.ts";
import { readTlsVerify, TLS_VERIFY } from "../tls_verify.ts";

/** `stowage add`. */
export const add: Command = {
  usage: "REF…",
  flags: [
    {
      name: "as",
      value: "NAME",
      help: "what the source is called (the last part of the image's name)",
    },
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
    // With a parser of TypeScript, which help does not need.
    const [{ addTo, readSources }, { entryOf }] = await Promise.all([
      import("../new_sources.ts"),
      import("../edit_config.ts"),
    ]);
    const sources = readSources(flags.words, {
      as: flags.text("as"),
      platform: flags.text("platform"),
      tlsVerify: readTlsVerify(flags),
    });
    const file = await findConfig(flags.text("config"));
    const before = await readOutsideText(file);
    const edited = addTo(file, before, sources);
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
