import { hash } from "node:crypto";

/**
 * Hashes a meaning, so that only what it says counts and not how it is written.
 *
 * @param meaning Plain data; the order of keys and keys that are `undefined` do not count.
 * @returns sha256 of the canonical JSON, 64 hex digits.
 */
export function hashOf(meaning: unknown): string {
  return hash("sha256", JSON.stringify(meaning, sortKeys), "hex");
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
