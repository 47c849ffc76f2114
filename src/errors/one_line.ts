/**
 * Keeps text of others within a line of a message, so that it passes for nothing else.
 *
 * @param text Any text.
 * @returns The text, with line breaks written as in JSON.
 */
export function oneLine(text: string): string {
  return text.replaceAll("\n", "\\n");
}
