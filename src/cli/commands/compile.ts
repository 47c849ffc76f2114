import { format as formatBytes } from "@std/fmt/bytes";
import { resolve } from "@std/path";
import { emitTo } from "../../events.ts";
import { UsageError } from "../../errors/mod.ts";
import { refuseOddOutput } from "../../lib/fs/outside_file.ts";
import { plain } from "../../lib/words.ts";
import type { Command } from "../command.ts";

const BASES = ["deno", "sh"];

/** As scripts/stowage has them: what layers have passed through is kept for long otherwise. */
const V8_FLAGS = "--v8-flags=--max-semi-space-size=1,--no-lazy,--heap-growing-percent=10";

/** `stowage compile`. */
export const compile: Command = {
  usage: "[SCRIPT] -o FILE",
  flags: [
    { name: "output", value: "FILE", alias: "o", help: "the executable" },
    { name: "target", value: "TARGET", help: "linux-x64 or linux-arm64 (this machine's)" },
    {
      name: "base",
      value: "BASE",
      help: "deno: by deno compile; sh: a file that unpacks itself (deno, where that can be had)",
    },
    {
      name: "include",
      value: "FILE",
      isRepeatable: true,
      help: "also what the script loads when it runs: a file in its folder",
    },
    { name: "deno", value: "FILE", help: "the Deno of the target, for a file that unpacks itself" },
  ],
  examples: [
    { line: "compile build.ts -o build", does: "an executable for machines like this one" },
    { line: "compile -o stowage --target linux-arm64", does: "stowage for another machine" },
  ],
  maxWords: 1,
  async run({ flags, terminal, onEvent, signal, isJson, isQuiet }) {
    const [script] = flags.words;
    const base = flags.text("base");
    const output = flags.text("output");
    if (output === undefined) {
      throw new UsageError("Cannot compile into nothing: say -o FILE");
    }
    await refuseOddOutput(output);
    if (base !== undefined && !BASES.includes(base)) {
      throw new UsageError(`Cannot compile on the base "${base}"`, {
        hint: `bases: ${BASES.join(", ")}`,
      });
    }
    const [
      { bundleScript, bundleStowage },
      { packScript, packWithDeno, refusePlainBase },
      { denoOf, targetOf },
    ] = await Promise.all([
      import("../compile/bundle.ts"),
      import("../compile/pack.ts"),
      import("../compile/target.ts"),
    ]);
    const target = targetOf(flags.text("target"));
    // Configs are TypeScript, which only a whole Deno loads.
    const wanted = base ?? (script === undefined ? "sh" : undefined);
    if (wanted !== "sh") await refusePlainBase();
    const { exists } = await import("@std/fs/exists");
    if (script !== undefined && !await exists(script, { isFile: true })) {
      throw new UsageError(`Cannot find the script "${script}"`);
    }
    const scratch = await Deno.makeTempDir({ prefix: "stowage-compile-" });
    try {
      const folder = `${scratch}/program`;
      await Deno.mkdir(folder);
      const own = await bundleStowage(folder, signal);
      const bundle = script === undefined
        ? own
        : await bundleScript(script, flags.list("include"), folder, signal);
      const options = {
        folder,
        bundle,
        target,
        flags: script === undefined ? [V8_FLAGS] : [],
        output: resolve(output),
        signal,
      };
      const missing = wanted === "sh" ? "" : await packWithDeno(await denoOf(targetOf()), options);
      if (missing && wanted === "deno") throw new UsageError(`Cannot compile: ${missing}`);
      if (missing !== undefined) {
        if (missing) {
          const message = `${missing}: making a file that unpacks itself`;
          emitTo(onEvent)({ type: "notice", code: "COMPILE_BASE", message });
        }
        await packScript(flags.text("deno") ?? await denoOf(target), options);
      }
      const { size } = await Deno.stat(output);
      if (!isJson && !isQuiet) {
        terminal.out(`Wrote ${plain(output)} for ${target.name}: ${formatBytes(size)}`);
      }
      const made = missing === undefined ? "deno" : "sh";
      return { ok: true, path: resolve(output), target: target.name, base: made, size };
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  },
};
