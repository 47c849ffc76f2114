/**
 * Leaves a login out of a text, so that it can be told: `https://user:password@host`.
 *
 * @param text Any text.
 * @returns The text without what stands before an `@`, unless a digest follows that.
 */
export function withoutLogin(text: string): string {
  return text.replace(
    /(^|[\s"'`(=])((?:[a-z][a-z\d+.-]*:)?\/\/)?[^\s"'`/@]*@(?![a-z\d]+:[\da-f]{32})/gi,
    (login, before: string, scheme: string | undefined) =>
      scheme === undefined && !login.includes(":") ? login : `${before}${scheme ?? ""}…@`,
  );
}
