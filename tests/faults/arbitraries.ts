import fc from "../support/fast_check.ts";
import { ROUNDS } from "../support/seed.ts";

/** Plain data, as JSON has it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** How many cases of each property are tried. */
export const parameters = { numRuns: ROUNDS || 400 };

const WORDS = [
  ...["", " ", "/", "..", "../../etc/passwd", "-", "--", "-rf", ".", ":", "@", "#", "\\", "\n"],
  ...["\0", "\u001b[2J", "\u009b1m", "\u202e", "\ud800", "é", "é", "💥", "\ufeff", "％"],
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"],
  ...["$(id)", "`id`", "*", "?", "[a]", "'", '"', "a b", "%s", "${HOME}", "&&", "~", "!"],
  ...["linux/amd64", "docker.io/library/a:1", "sha256:", `sha256:${"a".repeat(64)}`],
  ...["[::1]:5000/a", "localhost:99999/a", `${"a/".repeat(200)}a`, "A/B:C", "a@b@c", "a;tag=b"],
  ...["a".repeat(129), "a".repeat(5000), "null", "0", "1e999", "-1", "NaN", "docker://"],
];

/** Text: what people write, what trips programs, and what nobody thought of. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.array(fc.constantFrom(...WORDS), { minLength: 2, maxLength: 4 }).map((all) => all.join("")),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 40 }),
);

const leaf: fc.Arbitrary<Json> = fc.oneof(
  text,
  fc.constantFrom(null, true, false, 0, -0, -1, 1.5, 1e308, 2 ** 53, -1e-7, [], {}),
  fc.integer(),
);

/** Any plain data. */
export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(text, tie("value")), { maxLength: 4 }).map((pairs) => {
      const value: { [key: string]: Json } = {};
      for (const [key, each] of pairs) put(value, key, each);
      return value;
    }),
  ),
})).value;

/** JSON.parse makes an own property of `__proto__`, and an assignment does not. */
function put(target: object, key: string, value: Json): void {
  const own = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(target, key, own);
}

type Change = readonly [kind: "set" | "add" | "remove" | "copy", at: number, key: string, to: Json];

const change: fc.Arbitrary<Change> = fc.tuple(
  fc.constantFrom("set" as const, "add" as const, "remove" as const, "copy" as const),
  fc.nat(),
  text,
  json,
);

/**
 * Data that is right but for a few places.
 *
 * @param right Right data, some of which is chosen.
 * @returns It with up to four changes: values set, added, removed, copied from elsewhere in it.
 */
export function mutated(...right: readonly Json[]): fc.Arbitrary<Json> {
  return fc.tuple(fc.constantFrom(...right), fc.array(change, { maxLength: 4 })).map(
    // Shrinking gives the same objects again, so they must not change.
    ([value, changes]) => structuredClone(changes).reduce(apply, structuredClone(value)),
  );
}

function apply(root: Json, [kind, at, key, to]: Change): Json {
  const places = [...placesOf(root)];
  const place = places[at % Math.max(places.length, 1)];
  if (!place) return kind === "set" ? to : root;
  const [holder, name] = place;
  if (kind === "remove") Reflect.deleteProperty(holder, name);
  else if (kind === "add") put(holder, Array.isArray(holder) ? String(holder.length) : key, to);
  else if (kind === "set") put(holder, name, to);
  else put(holder, name, structuredClone(places[(at * 7) % places.length]?.[2] ?? null));
  return root;
}

function* placesOf(value: Json): Generator<[holder: object, name: string, value: Json]> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, each] of Object.entries(value)) {
    yield [value, name, each];
    yield* placesOf(each);
  }
}

/**
 * The text of a file, right or not.
 *
 * @param content What it says.
 * @returns The content as JSON, and that with a few characters cut, doubled or put in.
 */
export function fileOf(content: fc.Arbitrary<Json>): fc.Arbitrary<string> {
  const written = content.map((value) => JSON.stringify(value));
  const spoiled = fc.tuple(written, fc.nat(), fc.nat(40), text).map(([file, at, count, put]) => {
    const start = at % (file.length + 1);
    return file.slice(0, start) + put + file.slice(start + count);
  });
  return fc.oneof({ weight: 3, arbitrary: written }, { weight: 1, arbitrary: spoiled }, text);
}
