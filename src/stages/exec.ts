import type { ExecStage } from "../../config/mod.ts";
import { inputVariable } from "./input_variable.ts";
import { defineKind } from "./stage_kind.ts";

/** A command. */
export const exec = defineKind<ExecStage>({
  ability: "exec",
  format: 3,
  reads: "anything",
  seesInputNames: true,
  access: "exposed",
  check({ inputs = [] }) {
    const owners = new Map<string, string>();
    return inputs.flatMap((input, index) => {
      const variable = inputVariable(input);
      const owner = owners.get(variable) ?? input;
      owners.set(variable, owner);
      if (owner === input) return [];
      const expected = `another name than that of "${owner}", as both would be ${variable}`;
      return [{ path: `inputs.${index}`, value: input, expected }];
    });
  },
  run: async (stage, context) => (await import("./run/exec.ts")).exec(stage, context),
});
