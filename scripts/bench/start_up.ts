import { docker } from "../../config/mod.ts";
import type { Case } from "./cases.ts";
import { emptyEval, emptyModule, stowage, wrappedEmptyModule, writeConfig } from "./programs.ts";

/** What each command has to wait for. */
export const startUp: Case = async ({ dir }) => {
  const config = await writeConfig(dir, "tiny.json", { sources: { web: docker("nginx:1.27") } });
  const commands = [["--version"], ["--help"], ["check", "--config", config]];
  return [{
    id: "start-up",
    title: "until a command is done that does next to nothing",
    contenders: [
      emptyEval(),
      await emptyModule(dir),
      wrappedEmptyModule(dir),
      { name: "skopeo --version", run: { path: "skopeo", args: ["--version"] } },
      ...commands.map((args) => ({ name: `stowage ${args[0]}`, run: stowage(...args) })),
    ],
    rounds: (asked) => 4 * asked,
  }];
};
