import { stripAnsiCode } from "@std/fmt/colors";

/**
 * Makes text of other programs safe to show: what it says, and nothing that moves the cursor.
 *
 * @param text Any text.
 * @returns The text without control characters but line breaks and tabs.
 */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return stripAnsiCode(text).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}
