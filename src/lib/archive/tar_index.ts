import { BLOCK, cut, decode, nameOf, padded, sizeIn, sumOf } from "./tar_header.ts";

/** What a tar archive has under a name. */
export type TarMember =
  | { readonly type: "file"; readonly start: number; readonly length: number }
  | { readonly type: "link"; readonly target: string };

/** Names and extended headers are small; what says that it is larger is no archive. */
const MAX_NAME = 2 ** 20;

/**
 * Lists what is in a tar archive; the bytes of its files are not read.
 *
 * @param file The archive, open for reading; it is left open.
 * @returns Files and links by name, the last of a name; `undefined` if it is no whole tar archive.
 */
export async function indexTar(
  file: Deno.FsFile,
): Promise<Map<string, TarMember> | undefined> {
  const { size: total } = await file.stat();
  const members = new Map<string, TarMember>();
  let long: { name?: string; target?: string; size?: number } = {};
  for (let at = 0; at + BLOCK <= total;) {
    const header = await readAt(file, at, BLOCK);
    if (!header) return undefined;
    if (header.every((byte) => byte === 0)) return members;
    if (!isHeader(header)) return undefined;
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtra = "xgLK".includes(type);
    const size = isExtra ? sizeIn(header) : long.size ?? sizeIn(header);
    const start = at + BLOCK;
    // One below 0 would lead back to what was read, again and again.
    const isInside = size >= 0 && start + size <= total;
    if (!isInside) return undefined;
    at = start + padded(size);
    if (isExtra) {
      if (size > MAX_NAME) return undefined;
      const bytes = await readAt(file, start, size) ?? new Uint8Array();
      if (type === "L") long.name = cut(bytes);
      if (type === "K") long.target = cut(bytes);
      if (type === "x") long = { ...long, ...readExtended(decode(bytes)) };
      continue;
    }
    const prefix = decode(header.subarray(257, 262)) === "ustar" && header[263] !== 0x20
      ? cut(header.subarray(345, 500))
      : "";
    const name = (long.name ?? (prefix ? `${prefix}/${nameOf(header)}` : nameOf(header)))
      .replace(/^(\.\/)+/, "");
    const target = long.target ?? cut(header.subarray(157, 257));
    if (type === "1" || type === "2") members.set(name, { type: "link", target });
    else if (type === "0" || type === "\0") {
      members.set(name, { type: "file", start, length: size });
    }
    long = {};
  }
  return undefined;
}

/**
 * Reads a part of a file.
 *
 * @param file The file, open for reading.
 * @param start Where the part starts, in bytes.
 * @param length How long it is, in bytes.
 * @returns Its bytes; `undefined` if the file ends before.
 */
export async function readAt(
  file: Deno.FsFile,
  start: number,
  length: number,
): Promise<Uint8Array | undefined> {
  await file.seek(start, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  for (let count = 0; count < length;) {
    const more = await file.read(bytes.subarray(count));
    if (more === null) return undefined;
    count += more;
  }
  return bytes;
}

/** Whether the sum of its bytes is what it says. */
function isHeader(header: Uint8Array): boolean {
  return parseInt(decode(header.subarray(148, 156)), 8) === sumOf(header);
}

function readExtended(text: string): { name?: string; target?: string; size?: number } {
  const value = (key: string) => new RegExp(`(?:^|\\n)\\d+ ${key}=([^\\n]*)\\n`).exec(text)?.[1];
  const [name, target, size] = [value("path"), value("linkpath"), value("size")];
  return {
    ...(name !== undefined && { name }),
    ...(target !== undefined && { target }),
    ...(size !== undefined && { size: Number(size) }),
  };
}
