import { assert, assertEquals } from "@std/assert";
import { InvalidValueError, StowageError } from "@stowage/stowage";

/** Far more than any case takes, also where the machine is busy. */
const LONG = 5_000;
const NOTHING = Symbol("nothing");

/**
 * Checks that something either works or fails as it should: in time, with an error that says what
 * is wrong, and without a trace in what all objects share.
 *
 * @param action What is done.
 * @returns What it returns; nothing if it failed as it should.
 */
export async function robust<Value>(
  action: () => Value | Promise<Value>,
): Promise<{ readonly value: Value } | undefined> {
  const before = shared();
  const start = performance.now();
  let value: Value | typeof NOTHING = NOTHING;
  try {
    value = await action();
  } catch (error) {
    assertExplained(error);
  }
  assert(performance.now() - start < LONG, "it takes too long");
  assertEquals(shared(), before);
  return value === NOTHING ? undefined : { value };
}

function assertExplained(error: unknown): void {
  if (error instanceof InvalidValueError) return;
  if (!(error instanceof StowageError)) throw error;
  assert(/^[A-Z_]+$/.test(error.code), error.code);
  assert(error.message.length > 10);
  // As --json prints it.
  JSON.parse(JSON.stringify(error));
}

function shared(): PropertyKey[] {
  const all = [Object.prototype, Array.prototype, Function.prototype, String.prototype];
  return all.flatMap((each) => Reflect.ownKeys(each));
}
