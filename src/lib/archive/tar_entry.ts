import { formatRecords, type PaxRecord } from "./pax_records.ts";
import { BLOCK, padded, sign, write } from "./tar_header.ts";
import type { TarEntry } from "./tar_reader.ts";

/** A file of root that is empty and has no name yet. */
export const NEW_ENTRY: TarEntry = {
  ...{ path: "", target: "", type: "0", size: 0, mode: 0o644, uid: 0, gid: 0, mtime: "0" },
  ...{ device: [0, 0], records: [] },
};

/** The largest number that seven octal digits have. */
const MAX_ID = 8 ** 7 - 1;
/** The largest number that eleven octal digits have. */
const MAX_SIZE = 8 ** 11 - 1;
const XATTR = "SCHILY.xattr.";
const SPARSE_NAME = "GNU.sparse.name";

/**
 * Writes the headers of a member in pax format, such that GNU tar reads from them what Go's
 * archive/tar has read.
 *
 * @param entry The member.
 * @param path Its path.
 * @param target Where it leads to, if it is a link.
 * @returns The headers; its content, filled up to whole blocks, has to follow.
 */
export function formatEntry(entry: TarEntry, path: string, target = ""): Uint8Array {
  const { type, size, mode, uid, gid, mtime, device, records } = entry;
  const told: PaxRecord[] = [
    ["path", path],
    ...(target === "" ? [] : [["linkpath", target] as const]),
    ...(size > MAX_SIZE ? [["size", String(size)] as const] : []),
    ...(uid > MAX_ID ? [["uid", String(uid)] as const] : []),
    ...(gid > MAX_ID ? [["gid", String(gid)] as const] : []),
    ["mtime", mtime],
    ...records.map(([key, value]): PaxRecord => {
      if (key === SPARSE_NAME) return [key, path];
      // GNU tar takes this apart again.
      return key.startsWith(XATTR) ? [key.replaceAll("%", "%25"), value] : [key, value];
    }),
  ];
  const text = formatRecords(told);
  const bytes = new Uint8Array(BLOCK + padded(text.length) + BLOCK);
  header(bytes.subarray(0, BLOCK), { name: "PaxHeaders", type: "x", size: text.length });
  write(bytes, BLOCK, text);
  header(bytes.subarray(-BLOCK), {
    ...{ name: path, type, size: size > MAX_SIZE ? 0 : size, mode, target },
    ...{ uid: uid > MAX_ID ? 0 : uid, gid: gid > MAX_ID ? 0 : gid, device },
  });
  return bytes;
}

interface Fields {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly target?: string;
  readonly device?: readonly [number, number];
}

function header(
  bytes: Uint8Array,
  { name, type, size, mode = 0o644, uid = 0, gid = 0, target = "", device = [0, 0] }: Fields,
): void {
  const octal = (at: number, digits: number, value: number) =>
    write(bytes, at, value.toString(8).padStart(digits, "0"));
  write(bytes, 0, name.slice(0, 100));
  octal(100, 7, mode);
  octal(108, 7, uid);
  octal(116, 7, gid);
  octal(124, 11, size);
  octal(136, 11, 0);
  write(bytes, 156, type);
  write(bytes, 157, target.slice(0, 100));
  write(bytes, 257, "ustar\x0000");
  octal(329, 7, device[0]);
  octal(337, 7, device[1]);
  sign(bytes);
}
