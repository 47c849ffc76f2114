import { stripAnsiCode } from "@std/fmt/colors";

/** C0 and C1 but line breaks and tabs, and what makes text run from right to left. */
// deno-lint-ignore no-control-regex
const MOVING = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Makes text of others safe to show: what it says, and nothing that moves the cursor.
 *
 * @param text Any text.
 * @returns The text without control characters but line breaks and tabs.
 */
export function plain(text: string): string {
  return stripAnsiCode(text).replace(MOVING, "");
}
