import type * as v from "valibot";
import type { ConfigIssue } from "../errors/mod.ts";
import { withoutLogin } from "../../config/without_login.ts";
import { nearest } from "./nearest.ts";

/**
 * Says what a schema found, in the words of `ConfigError`.
 *
 * @param issue What the schema found.
 * @param path Where in the config the schema was applied.
 * @returns The same mistake with its path, what was expected, and the nearest right name.
 */
export function explain(issue: v.BaseIssue<unknown>, path: readonly string[] = []): ConfigIssue {
  const items = issue.path ?? [];
  const last = items.at(-1);
  const value = writable(last ? last.value : issue.input);
  const isAboutKey = last !== undefined && "origin" in last && last.origin === "key";
  const isMissing = isAboutKey && issue.kind === "schema" && value === undefined;
  const expected = isMissing ? "a value" : expectation(issue);
  const wrong = isMissing
    ? undefined
    : isAboutKey
    ? last.key
    : issue.kind === "schema"
    ? value
    : undefined;
  const suggestion = typeof wrong === "string" ? nearest(wrong, namesIn(issue)) : undefined;
  return {
    path: [...path, ...items.map((item) => String(item.key))].join("."),
    ...(value !== undefined && { value }),
    expected,
    ...(suggestion !== undefined && { suggestion }),
  };
}

/**
 * Puts what one part of a config has found into the whole.
 *
 * @param path Where in the config the part is.
 * @param issue What is wrong; its path starts at the part.
 * @returns The same mistake with its whole path.
 */
export function under(path: string, issue: ConfigIssue): ConfigIssue {
  return { ...issue, path: `${path}.${issue.path}` };
}

/** What JSON cannot say, as a script may pass it: a bigint, a circle; and no login. */
function writable(value: unknown): unknown {
  if (typeof value === "string") return withoutLogin(value);
  if (typeof value === "bigint") return `${value}n`;
  try {
    JSON.stringify(value);
    return value;
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** Messages of the config's own schemas say what is expected; valibot's say it in `expected`. */
function expectation({ message, expected }: v.BaseIssue<unknown>): string {
  if (!message.startsWith("Invalid ")) return message;
  return (expected ?? "another value").replaceAll(/[()]/g, "").replaceAll(" | ", " or ");
}

/** Those that valibot would take: it writes them as `("a" | "b")`. */
function namesIn({ expected }: v.BaseIssue<unknown>): string[] {
  return [...(expected ?? "").matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name);
}
