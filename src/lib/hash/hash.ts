import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

/** What {@linkcode sha256Of} gives. */
export const HEX = /^[0-9a-f]{64}$/;

const encoder = new TextEncoder();

/**
 * Hashes few bytes; unlike node's own, it is there at once.
 *
 * @param bytes The bytes.
 * @returns sha256, 64 hex digits.
 */
export function sha256Of(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}

/**
 * Hashes a meaning, so that only what it says counts and not how it is written.
 *
 * @param meaning Plain data; the order of keys and keys that are `undefined` do not count.
 * @returns sha256 of the canonical JSON, 64 hex digits.
 */
export function hashOf(meaning: unknown): string {
  return sha256Of(encoder.encode(JSON.stringify(meaning, sortKeys)));
}

/**
 * Makes `JSON.stringify` write the same for the same meaning.
 *
 * @param _key The key of the value; it does not count.
 * @param value Any value.
 * @returns The value; of an object, a copy with its keys in order.
 */
export function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
