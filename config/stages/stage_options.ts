import * as v from "valibot";
import { described, Strings } from "../schema_parts.ts";

/** What every stage takes. */
export interface StageOptions<
  InputName extends string = string,
  StageName extends string = string,
> {
  /** Names of the inputs that the stage reads. */
  readonly inputs: readonly InputName[];
  /** Name of the stage whose tree this one continues; an empty tree if absent. */
  readonly on?: StageName;
}

/** What every stage takes, as entries of its schema. */
export const stageEntries = {
  inputs: described(Strings, "Names of the inputs that the stage reads"),
  on: v.exactOptional(
    described(
      v.string(),
      "Name of the stage whose tree this one continues; an empty tree if absent",
    ),
  ),
};
