import * as v from "valibot";
import { withoutLogin } from "./without_login.ts";

/**
 * A value of the config language that cannot be read, such as a malformed reference.
 *
 * `compile()` never lets it out: it becomes one issue of a `ConfigError`, with its path.
 */
export class InvalidValueError extends Error {
  /** Tells this error from others without its class. */
  readonly code = "INVALID_VALUE";
  /** The text that could not be read, without a login that it may have. */
  readonly value: string;
  /** What would have been right, to follow the word "Expected". */
  readonly expected: string;

  /**
   * @internal
   * @param what The kind of value, such as `reference`.
   * @param value The text that could not be read.
   * @param expected What would have been right.
   */
  constructor(what: string, value: string, expected: string) {
    const told = withoutLogin(value);
    super(`Cannot read ${what} "${told}": expected ${expected}`);
    this.name = "InvalidValueError";
    this.value = told;
    this.expected = expected;
  }
}

/**
 * A schema of the texts that `parse` can read.
 *
 * @param parse A parser that throws {@linkcode InvalidValueError}.
 * @returns The schema; the text stays as it is.
 */
export function readableBy(parse: (text: string) => unknown): v.GenericSchema<string> {
  return v.pipe(
    v.string(),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      try {
        parse(dataset.value);
      } catch (error) {
        if (!(error instanceof InvalidValueError)) throw error;
        addIssue({ message: error.expected });
      }
    }),
  );
}
