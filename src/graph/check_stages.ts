import type { Input, Stage } from "../../config/mod.ts";
import { inputVariable } from "../input_variable.ts";
import type { ConfigIssue } from "../errors/mod.ts";

/** What the inputs of each type of stage have to give; `exec` takes any. */
const READS: Partial<Record<Stage["type"], "images" | "trees">> = {
  "install": "images",
  "docker-archive": "images",
  "container-loader": "images",
  "oci-archive": "trees",
  "copy-tree": "trees",
};

/**
 * Finds what no schema sees: inputs that give what a stage cannot read, and options that do not go
 * together.
 *
 * @param inputs The inputs by name.
 * @param stages The stages by name.
 * @param issues Takes what is wrong.
 */
export function checkStages(
  inputs: ReadonlyMap<string, Input>,
  stages: ReadonlyMap<string, Stage>,
  issues: ConfigIssue[],
): void {
  for (const [name, stage] of stages) {
    const path = `stages.${name}`;
    const reads = READS[stage.type];
    if (reads && stage.inputs?.length === 0) {
      issues.push({ path: `${path}.inputs`, value: [], expected: "at least one input" });
    }
    for (const [index, each] of (stage.inputs ?? []).entries()) {
      const input = inputs.get(each);
      const gives = input?.type === "tree" ? "trees" : "images";
      if (!input || !reads || gives === reads) continue;
      const expected = reads === "images"
        ? `an input made by images() or output(), as ${stage.type} reads images`
        : `an input made by tree(), as ${stage.type} reads trees`;
      issues.push({ path: `${path}.inputs.${index}`, value: each, expected });
    }
    const before = stage.on === undefined ? undefined : stages.get(stage.on);
    if (before?.type === "install" && before.into !== undefined) {
      const expected = `a stage with a tree of its own, and "${stage.on}" installs into another's`;
      issues.push({ path: `${path}.on`, value: stage.on, expected });
    }
    if (stage.type === "install") checkInstall(path, stage, issues);
    if (stage.type === "exec") checkVariables(path, stage.inputs ?? [], issues);
  }
}

function checkVariables(path: string, inputs: readonly string[], issues: ConfigIssue[]): void {
  const owners = new Map<string, string>();
  for (const [index, input] of inputs.entries()) {
    const variable = inputVariable(input);
    const owner = owners.get(variable) ?? input;
    owners.set(variable, owner);
    if (owner === input) continue;
    const expected = `another name than that of "${owner}", as both would be ${variable}`;
    issues.push({ path: `${path}.inputs.${index}`, value: input, expected });
  }
}

function checkInstall(
  path: string,
  { on, into, destination, additionalImageStore }: Extract<Stage, { type: "install" }>,
  issues: ConfigIssue[],
): void {
  if (on !== undefined && into !== undefined) {
    issues.push({ path: `${path}.into`, value: into, expected: "no other tree beside `on`" });
  }
  if (!additionalImageStore) return;
  const isStorage = destination.type === "containers-storage";
  if (!isStorage || destination.path === undefined) {
    issues.push({
      path: `${path}.additionalImageStore`,
      value: true,
      expected: "a destination of type containers-storage with a path of its own, such as " +
        '"/usr/share/containers/storage"',
    });
  }
}
