/**
 * The digest of bytes, as registries write it.
 *
 * @param data The bytes, or a text in UTF-8.
 * @returns `sha256:…`.
 */
export async function digestOf(data: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return `sha256:${new Uint8Array(hash).toHex()}`;
}
