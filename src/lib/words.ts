import { stripAnsiCode } from "@std/fmt/colors";
import { withoutLogin } from "../../config/without_login.ts";

/** Controls, what has no shape or changes the direction, halves of characters; no line breaks, tabs. */
const MOVING = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/**
 * Makes text of others safe to show: what it says, and nothing that moves the cursor.
 *
 * @param text Any text.
 * @returns The text without control characters but line breaks and tabs.
 */
export function plain(text: string): string {
  return stripAnsiCode(text).replace(MOVING, "");
}

/**
 * Makes text of others safe to show within a line.
 *
 * @param text Any text.
 * @returns The text without control characters; what breaks a line is written as in JSON.
 */
export function inLine(text: string): string {
  return plain(text).replace(/[\n\t]/g, (char) => char === "\n" ? "\\n" : "\\t");
}

/**
 * Makes words of programs and of what they have talked to fit to be told: URLs may be signed, or
 * have a login in them.
 *
 * @param text Any text.
 * @returns The text without logins, queries of URLs and control characters.
 */
export function outsideWords(text: string): string {
  const url = /((?:^|[\s"'`(])(?:[a-z][a-z\d+.-]*:|\/)[^\s"'`?#\\]*)[?#][^\s"'`\\]*/gi;
  return withoutLogin(plain(text).replace(url, "$1"));
}

/**
 * Counts things.
 *
 * @param number How many there are.
 * @param thing What one of them is called.
 * @returns Such as `1 image` or `2 images`.
 */
export function count(number: number, thing: string): string {
  return number === 1 ? `1 ${thing}` : `${number} ${thing}s`;
}
