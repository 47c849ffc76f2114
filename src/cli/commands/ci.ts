import { exists } from "@std/fs/exists";
import { dirname, join } from "@std/path";
import { UsageError } from "../../errors/mod.ts";
import { CI_SYSTEMS, makeWorkflow } from "../../fleet/ci/make_workflow.ts";
import { nearest } from "../../graph/nearest.ts";
import { guard, writeAtomically } from "../../lib/fs/files.ts";
import { foldersUp } from "../../lib/fs/folders_up.ts";
import { makeFolder } from "../../lib/fs/modes.ts";
import { plain } from "../../lib/words.ts";
import type { Command } from "../command.ts";

/** `stowage ci`. */
export const ci: Command = {
  usage: "--for SYSTEM [-o FILE]",
  flags: [
    {
      name: "for",
      value: "SYSTEM",
      choices: CI_SYSTEMS,
      help: `what it is for: ${CI_SYSTEMS.join(", ")}`,
    },
    { name: "shards", value: "N", help: "how many jobs share the work (1)" },
    {
      name: "cache",
      value: "REPO",
      help: "a repository of a registry that all jobs share; kubernetes needs it",
    },
    {
      name: "image",
      value: "IMAGE",
      help: "the image that jobs run in, with stowage; gitlab and kubernetes need it",
    },
    { name: "output", value: "FILE", alias: "o", help: "the file (standard output)" },
    { name: "force", help: "write the file even if there is another one" },
  ],
  examples: [
    { line: "ci --for github -o .github/workflows/images.yml", does: "one job for each push" },
    {
      line: "ci --for gitlab --image acme.io/ci/stowage --cache acme.io/ci/cache --shards 8",
      does: "eight jobs with a shared cache",
    },
  ],
  maxWords: 0,
  async run({ flags, terminal, isJson, isQuiet }) {
    const wanted = flags.text("for");
    const system = CI_SYSTEMS.find((system) => system === wanted);
    if (system === undefined) {
      const near = wanted && nearest(wanted, CI_SYSTEMS);
      const why = wanted === undefined ? "no CI system is named" : `there is none for "${wanted}"`;
      throw new UsageError(`Cannot make a workflow: ${why}`, {
        hint: near ? `did you mean "${near}"?` : `say --for ${CI_SYSTEMS.join(", --for ")}`,
      });
    }
    await requireRoot(flags.text("config"));
    const [shards, cache, image] = [
      flags.number("shards"),
      flags.text("cache"),
      flags.text("image"),
    ];
    const workflow = await makeWorkflow(system, {
      ...(shards !== undefined && { shards }),
      ...(cache !== undefined && { cache }),
      ...(image !== undefined && { image }),
    });
    const output = flags.text("output");
    if (output === undefined) {
      if (!isJson) terminal.out(workflow.trimEnd());
      return { ok: true, system, workflow };
    }
    if (!flags.has("force") && await exists(output)) {
      throw new UsageError(`Cannot write "${output}": it is there already`, {
        hint: "look at what it would be without --output, or replace it with --force",
      });
    }
    await guard("write", output, async () => {
      await makeFolder(dirname(output));
      await writeAtomically(output, workflow);
    });
    if (!isJson && !isQuiet) terminal.out(`Wrote ${plain(output)}`);
    return { ok: true, system, workflow, output };
  },
};

/** Jobs begin in the root of the repository, where they find the config and its lock. */
async function requireRoot(config: string | undefined): Promise<void> {
  const hint = "make it in the root of the repository without --config; for a config elsewhere, " +
    "set the folder of its steps, and the paths of its cache, by hand";
  if (config !== undefined) {
    throw new UsageError(
      `Cannot make a workflow for "${config}": its jobs read the config that is in the root`,
      { hint },
    );
  }
  for (const folder of foldersUp(Deno.cwd())) {
    if (!await exists(join(folder, ".git"))) continue;
    if (folder === Deno.cwd()) return;
    throw new UsageError(`Cannot make a workflow here: its jobs work in "${folder}"`, { hint });
  }
}
