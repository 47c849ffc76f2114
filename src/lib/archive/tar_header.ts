/** The size of a header, which everything in a tar archive is padded to. */
export const BLOCK = 512;

/** Why bytes are no archive, or none that engines read. */
export class TarError extends Error {}

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
  const end = field.indexOf(0);
  return decode(end < 0 ? field : field.subarray(0, end));
}

/** How many arguments a call may surely have. */
const PART = 4096;

/**
 * Reads bytes as text of one character a byte.
 *
 * @param bytes The bytes.
 * @returns The text.
 */
export function decode(bytes: Uint8Array): string {
  // Not a TextDecoder, whose "latin1" is Windows' own.
  let text = "";
  for (let start = 0; start < bytes.length; start += PART) {
    text += String.fromCharCode(...bytes.subarray(start, start + PART));
  }
  return text;
}

/**
 * Reads text of one character a byte as what it is.
 *
 * @param text The text.
 * @returns The same as Unicode; what is none is replaced.
 */
export function utf8(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0)));
}

/**
 * Writes text of one character a byte.
 *
 * @param bytes Where it is written.
 * @param at Where it begins there.
 * @param text The text.
 */
export function write(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
}

/**
 * The sum that a header tells of its own bytes.
 *
 * @param header The header.
 * @returns The sum.
 */
export function sumOf(header: Uint8Array): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

/**
 * Writes the sum of a header into it.
 *
 * @param header The header.
 */
export function sign(header: Uint8Array): void {
  write(header, 148, `${sumOf(header).toString(8).padStart(6, "0")}\0 `);
}

/** The highest number that octal digits can tell. */
const MAX_OCTAL = 8 ** 11 - 1;

/**
 * Makes the header of a file or a folder of root, so that the same content gives the same archive: as
 * POSIX's ustar has it.
 *
 * @param name Its name, in ASCII, of at most 100 characters; a folder's ends with a slash.
 * @param size The file's size in bytes.
 * @param mtime Its time, in seconds since 1970.
 * @returns The header; a number that is too long for octal digits is binary, as GNU has it.
 */
export function headerOf(name: string, size: number, mtime = 0): Uint8Array<ArrayBuffer> {
  if (name.length > 100) {
    throw new TypeError(`Cannot put "${name}" into an archive: it is too long`);
  }
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => header.set(encoder.encode(text), at);
  put(0, name);
  const isFolder = name.endsWith("/");
  put(100, isFolder ? "0000755\0" : "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  const putNumber = (at: number, value: number) => {
    if (value <= MAX_OCTAL) return put(at, `${value.toString(8).padStart(11, "0")}\0`);
    header[at] = 0x80;
    new DataView(header.buffer).setBigUint64(at + 4, BigInt(value));
  };
  putNumber(124, size);
  putNumber(136, mtime);
  put(148, " ".repeat(8));
  put(156, isFolder ? "5" : "0");
  put(257, "ustar\x0000");
  const sum = header.reduce((sum, byte) => sum + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

const encoder = new TextEncoder();
