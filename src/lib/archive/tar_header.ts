/** The size of a header, which everything in a tar archive is padded to. */
export const BLOCK = 512;

/**
 * The size that a header tells.
 *
 * @param header A header of a tar archive.
 * @returns The size in bytes; numbers that are too long for octal digits are binary, as GNU has it.
 */
export function sizeIn(header: Uint8Array): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) === 0) return parseInt(decode(field), 8) || 0;
  return field.subarray(4).reduce((size, byte) => size * 256 + byte, 0);
}

/**
 * The name that a header tells.
 *
 * @param header A header of a tar archive.
 * @returns The name, one character a byte; its prefix is not part of it.
 */
export function nameOf(header: Uint8Array): string {
  return cut(header.subarray(0, 100));
}

/**
 * How much room content takes.
 *
 * @param size Its size in bytes.
 * @returns The size with what it is padded by, in bytes.
 */
export function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/**
 * Reads a field of a header up to its end.
 *
 * @param field The field's bytes.
 * @returns Its text, one character a byte.
 */
export function cut(field: Uint8Array): string {
  return decode(field).replace(/\0.*$/s, "");
}

/**
 * Reads bytes as text of one character a byte.
 *
 * @param bytes The bytes.
 * @returns The text.
 */
export function decode(bytes: Uint8Array): string {
  // Not a TextDecoder, whose "latin1" is Windows' own.
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
