/** A digest that stowage can check. */
export const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Whether a text is a digest that stowage can check.
 *
 * @param text Any text.
 * @returns `true` for `sha256:` and 64 lower-case hex digits, as the OCI image spec writes it.
 */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}
