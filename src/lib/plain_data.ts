/** Deeper than anything that is written by hand. */
const MAX_DEPTH = 100;

/** A copy, or where what is no plain data. */
export type PlainCopy =
  | { readonly data: unknown }
  | { readonly path: readonly string[]; readonly fault: string };

/**
 * Copies plain data, so that it says the same whenever it is asked: objects and lists as JSON has
 * them. Other values are left as they are.
 *
 * @param value Any value.
 * @returns The copy, or the first thing in it that is neither object nor list, such as a `Map`.
 */
export function copyPlain(value: unknown): PlainCopy {
  try {
    return { data: copy(value, []) };
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

class Fault {
  constructor(readonly path: readonly string[], readonly fault: string) {}
}

function copy(value: unknown, path: readonly string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (path.length > MAX_DEPTH) {
    throw new Fault(path.slice(0, 3), `nested deeper than ${MAX_DEPTH} levels`);
  }
  try {
    if (Array.isArray(value)) return value.map((item, at) => copy(item, [...path, String(at)]));
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw new Fault(path, `a ${nameOf(prototype)}`);
    }
    return Object.fromEntries(
      Object.keys(value).map((key) => [key, copy(Reflect.get(value, key), [...path, key])]),
    );
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault(path, "something that cannot be read"); // a getter or a proxy that throws
  }
}

function nameOf(prototype: unknown): string {
  const { constructor } = Object(prototype);
  return typeof constructor === "function" && constructor.name || "object of its own kind";
}
