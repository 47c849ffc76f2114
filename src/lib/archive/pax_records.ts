import { decode, TarError } from "./tar_header.ts";

/** A record of an extended header in pax format; one character a byte. */
export type PaxRecord = readonly [key: string, value: string];

/**
 * Reads records of the form `length key=value\n`.
 *
 * @param bytes The content of an extended header.
 * @returns The records, in order.
 * @throws {TarError} If they are damaged.
 */
export function readRecords(bytes: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let start = 0; start < bytes.length;) {
    const length = parseInt(decode(bytes.subarray(start, start + 20)));
    const text = decode(bytes.subarray(start, start + length));
    const [from, to] = [text.indexOf(" ") + 1, text.indexOf("=")];
    if (!(from > 0 && to > from && text.length === length && text.endsWith("\n"))) {
      throw new TarError("an extended header is damaged");
    }
    records.push([text.slice(from, to), text.slice(to + 1, -1)]);
    start += length;
  }
  return records;
}

/**
 * Writes records as an extended header has them.
 *
 * @param records The records.
 * @returns Their text, one character a byte.
 */
export function formatRecords(records: readonly PaxRecord[]): string {
  return records.map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length;
    // The length counts its own digits.
    while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
    return `${length}${rest}`;
  }).join("");
}
