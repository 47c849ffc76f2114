import { basename, join } from "@std/path";
import { UsageError } from "../../errors/mod.ts";
import { IMPORT_KINDS } from "../../import/import_kinds.ts";
import { readOutsideText } from "../../lib/fs/outside_file.ts";
import { plain } from "../../lib/words.ts";
import type { Command } from "../command.ts";
import { hasConfigIn, lockOf } from "../config_file.ts";

const CONFIG = "images.config.ts";
const IGNORED = [".stowage/", "dist/"];
const FIRST = `import { defineConfig } from "@stowage/stowage";

export default defineConfig({
  sources: {
    // stowage add docker.io/library/nginx:1.27
  },
});
`;

/** `stowage init`. */
export const init: Command = {
  usage: "[FILE…]",
  flags: [
    { name: "from", value: "KIND", help: "make the config of FILE…, as stowage import does" },
    {
      name: "sdk",
      value: "WHERE",
      help:
        "where deno.json takes stowage from: jsr, npm or files (the first that has this version)",
    },
  ],
  examples: [
    { line: "init", does: "an empty config, for stowage add" },
    { line: "init --from osbuild manifest.json", does: "the config of a manifest, with its lock" },
  ],
  async run({ flags, terminal, isJson, isQuiet }) {
    const { findProject } = await import("../project/project.ts");
    const { chooseSdk, SDK_CHOICES, sdkImports } = await import("../project/sdk_choice.ts");
    const kind = flags.text("from");
    const wanted = flags.text("sdk");
    const sdk = SDK_CHOICES.find((choice) => choice === wanted);
    if (wanted !== undefined && sdk === undefined) {
      throw new UsageError(`Cannot have stowage from "${wanted}"`, {
        hint: `choose one of ${SDK_CHOICES.join(", ")}`,
      });
    }
    if (kind === undefined && flags.words.length > 0) {
      throw new UsageError(`Cannot use "${flags.words[0]}" without --from`, {
        hint: `say what it is: --from ${Object.keys(IMPORT_KINDS).join(" or --from ")}`,
      });
    }
    const project = await findProject(Deno.cwd());
    const denoJson = project?.files.find((file) => /^deno\.jsonc?$/.test(basename(file)));
    const written: string[] = [];
    const hints: string[] = [];
    const write = async (name: string, text: string) => {
      await Deno.writeTextFile(name, text, { createNew: true });
      written.push(name);
    };
    if (await hasConfigIn(Deno.cwd())) {
      if (kind !== undefined) {
        throw new UsageError("Cannot make a config: there is one already", {
          hint: "stowage import prints what it would be",
        });
      }
    } else if (kind === undefined) await write(CONFIG, FIRST);
    else {
      const platform = flags.text("platform");
      const { importConfig } = await import("../../import/import_config.ts");
      const result = await importConfig(kind, flags.words, { ...(platform && { platform }) });
      if (Object.keys(result.lock.sources).length > 0) {
        const { writeLock } = await import("../../lockfile/lock_file.ts");
        await writeLock(lockOf(join(Deno.cwd(), CONFIG)), result.lock);
        written.push(lockOf(CONFIG));
      }
      await write(CONFIG, result.text);
      if (result.left.length > 0) hints.push(`stowage import ${kind} says what was left out`);
    }
    const imports = await sdkImports(sdk ?? await chooseSdk(flags.has("offline")));
    if (denoJson !== undefined) {
      if (!project?.hasSdk) {
        const text = JSON.stringify(imports, undefined, 2).slice(2, -2);
        hints.push(`for scripts and the editor, add to ${denoJson}:\n${text}`);
      }
    } else await write("deno.json", `${JSON.stringify(imports, undefined, 2)}\n`);
    const { exists } = await import("@std/fs/exists");
    if (!await exists(".gitignore")) await write(".gitignore", `${IGNORED.join("\n")}\n`);
    else {
      const lines = (await readOutsideText(".gitignore")).split("\n");
      const missing = IGNORED.filter((line) =>
        !lines.includes(line) && !lines.includes(`/${line}`)
      );
      if (missing.length > 0) hints.push(`add to .gitignore: ${missing.join(" ")}`);
    }
    if (!isJson && !isQuiet) {
      terminal.out(written.length > 0 ? `Wrote ${written.join(", ")}` : "All is there already");
      for (const hint of hints) terminal.out(`  → ${plain(hint)}`);
    }
    return { ok: true, written, hints };
  },
};
