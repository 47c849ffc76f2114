/** What terminals and editors act on and JSON does not escape: controls, changes of direction. */
const ACTIVE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;
/** Deeper than anything that stowage tells. */
const MAX_DEPTH = 50;

/**
 * Writes what happened for a program that reads it: whatever it is, that is a line of JSON.
 *
 * @param value Plain data.
 * @returns Its JSON, with control characters escaped.
 */
export function jsonLine(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = JSON.stringify(sayable(value, 0)); // too deep, a circle, or a bigint
  }
  return (text ?? "null").replace(ACTIVE, escape);
}

/**
 * Writes how a command has ended, for a program that reads it.
 *
 * @param result What it says at its end.
 * @returns Its JSON, with how long that took, in ms: the operation of the library, or else this
 * process.
 */
export function resultLine(result: object): string {
  return jsonLine({ type: "result", duration: Math.round(performance.now()), ...result });
}

function escape(char: string): string {
  return char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}

function sayable(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) return "…";
  try {
    if (Array.isArray(value)) return value.map((item) => sayable(item, depth + 1));
    const entries = Object.entries(value).map(([key, item]) => [key, sayable(item, depth + 1)]);
    return Object.fromEntries(entries);
  } catch {
    return "…"; // a getter or a proxy that throws
  }
}
