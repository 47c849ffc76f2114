/** `@std/assert` from npm, typed. */
import * as std from "deno-std/assert/mod.js";

// deno-lint-ignore no-explicit-any
type Class<T> = abstract new (...args: any[]) => T;
type Compare = <T>(actual: T, expected: T, msg?: string) => void;
type Match = (actual: string, expected: RegExp, msg?: string) => void;
type Falsy = false | 0 | 0n | "" | null | undefined;

interface Rejects {
  (fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
  <E extends Error>(
    fn: () => PromiseLike<unknown>,
    errorClass: Class<E>,
    msgIncludes?: string,
    msg?: string,
  ): Promise<E>;
}

interface Throws {
  (fn: () => unknown, msg?: string): unknown;
  <E extends Error>(
    fn: () => unknown,
    errorClass: Class<E>,
    msgIncludes?: string,
    msg?: string,
  ): E;
}

export const AssertionError: new (message: string, options?: ErrorOptions) => Error =
  std.AssertionError;
export const assert: (expr: unknown, msg?: string) => asserts expr = std.assert;
export const assertAlmostEquals: (
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
) => void = std.assertAlmostEquals;
export const assertArrayIncludes: <T>(
  actual: ArrayLike<T> & object,
  expected: ArrayLike<T> & object,
  msg?: string,
) => void = std.assertArrayIncludes;
export const assertEquals: Compare = std.assertEquals;
export const assertExists: <T>(actual: T, msg?: string) => asserts actual is NonNullable<T> =
  std.assertExists;
export const assertFalse: (expr: unknown, msg?: string) => asserts expr is Falsy = std.assertFalse;
export const assertGreater: Compare = std.assertGreater;
export const assertGreaterOrEqual: Compare = std.assertGreaterOrEqual;
export const assertInstanceOf: <T>(
  actual: unknown,
  expected: Class<T>,
  msg?: string,
) => asserts actual is T = std.assertInstanceOf;
export const assertIsError: <E extends Error = Error>(
  error: unknown,
  errorClass?: Class<E>,
  msgMatches?: string | RegExp,
  msg?: string,
) => asserts error is E = std.assertIsError;
export const assertLess: Compare = std.assertLess;
export const assertLessOrEqual: Compare = std.assertLessOrEqual;
export const assertMatch: Match = std.assertMatch;
export const assertNotEquals: Compare = std.assertNotEquals;
export const assertNotInstanceOf: <A, T>(
  actual: A,
  unexpected: Class<T>,
  msg?: string,
) => asserts actual is Exclude<A, T> = std.assertNotInstanceOf;
export const assertNotMatch: Match = std.assertNotMatch;
export const assertNotStrictEquals: Compare = std.assertNotStrictEquals;
export const assertObjectMatch: (
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
) => void = std.assertObjectMatch;
export const assertRejects: Rejects = std.assertRejects;
export const assertStrictEquals: <T>(
  actual: unknown,
  expected: T,
  msg?: string,
) => asserts actual is T = std.assertStrictEquals;
export const assertStringIncludes: (actual: string, expected: string, msg?: string) => void =
  std.assertStringIncludes;
export const assertThrows: Throws = std.assertThrows;
export const equal: (a: unknown, b: unknown) => boolean = std.equal;
export const fail: (msg?: string) => never = std.fail;
export const unimplemented: (msg?: string) => never = std.unimplemented;
export const unreachable: (msg?: string) => never = std.unreachable;
