import type { Input, Stage } from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import { buildersOf, inputKind } from "../inputs/mod.ts";
import { stageKind } from "../stages/mod.ts";
import { under } from "./issues.ts";

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
    const kind = stageKind(stage);
    const { reads } = kind;
    if (reads !== "anything" && stage.inputs?.length === 0) {
      issues.push({ path: `${path}.inputs`, value: [], expected: "at least one input" });
    }
    for (const [index, each] of (stage.inputs ?? []).entries()) {
      const input = inputs.get(each);
      if (!input || reads === "anything" || inputKind(input).gives === reads) continue;
      const builders = buildersOf(reads).join(" or ");
      const expected = `an input made by ${builders}, as ${stage.type} reads ${reads}`;
      issues.push({ path: `${path}.inputs.${index}`, value: each, expected });
    }
    const before = stage.on === undefined ? undefined : stages.get(stage.on);
    if (before && stageKind(before).into(before) !== undefined) {
      const expected = `a stage with a tree of its own, and "${stage.on}" installs into another's`;
      issues.push({ path: `${path}.on`, value: stage.on, expected });
    }
    issues.push(...kind.check(stage).map((issue) => under(path, issue)));
  }
}
