import { concat } from "../bytes.ts";
import { type PaxRecord, readRecords } from "./pax_records.ts";
import { checkHoles, type MapReader, SPARSE } from "./sparse_map.ts";
import { BLOCK, cut, decode, nameOf, padded, sumOf, TarError } from "./tar_header.ts";

/** A member of an archive, as Go's archive/tar, and so all engines, read it. */
export interface TarEntry {
  /** Its path as it is written; like all texts here, one character a byte. */
  readonly path: string;
  /** Where a link, of either kind, leads to. */
  readonly target: string;
  /** The letter of its type; `0` and `5` for files and folders, however they are written. */
  readonly type: string;
  /** How long its content is, in bytes. */
  readonly size: number;
  /** Permissions, with set-user-id and the like. */
  readonly mode: number;
  /** User id. */
  readonly uid: number;
  /** Group id. */
  readonly gid: number;
  /** When it was changed: seconds since 1970 as a decimal number. */
  readonly mtime: string;
  /** Major and minor number of a device. */
  readonly device: readonly [major: number, minor: number];
  /** What its extended header says beside that: attributes, and where a sparse file has holes. */
  readonly records: readonly PaxRecord[];
}

/** What takes an archive apart. */
export interface TarTaker {
  /** Takes a member; its content follows. */
  entry(entry: TarEntry): void;
  /** Takes a part of its content, with what fills up the last block. */
  content?(bytes: Uint8Array): void;
}

/** As Go has it: nothing that precedes a member is longer, in bytes. */
const MAX_EXTRA = 2 ** 20;
/** Types that have no content, whatever their headers say. */
const EMPTY = "123456";
const PLAIN = ["path", "linkpath", "size", "uid", "gid", "mtime"];

/** Reads an archive while it passes: V7, ustar, pax and GNU's, but for GNU's old sparse files. */
export class TarReader {
  #pending = new Uint8Array();
  #content = 0;
  /** How much of the content does no more than fill up the last block. */
  #padding = 0;
  #zeros = 0;
  /** Takes the content of a member that begins with a map of its holes. */
  #map: MapReader | undefined;
  #extra: { records?: readonly PaxRecord[]; name?: string; target?: string } = {};

  /**
   * Has read nothing yet.
   *
   * @param taker Takes what is read.
   */
  constructor(private readonly taker: TarTaker) {}

  /**
   * Takes the next bytes.
   *
   * @param chunk The bytes; they are not kept.
   * @throws {TarError} If they are of no archive that engines read.
   */
  next(chunk: Uint8Array): void {
    if (this.#zeros > 1) return; // what follows the end is nobody's
    const bytes = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    let at = 0;
    while (this.#zeros < 2) {
      const step = Math.min(this.#content, bytes.length - at);
      if (step > 0) this.#take(bytes.subarray(at, at + step));
      this.#content -= step;
      at += step;
      const length = this.#content > 0 ? 0 : this.#header(bytes.subarray(at));
      if (length === 0) break;
      at += length;
    }
    this.#pending = bytes.slice(at);
  }

  /**
   * Ends the archive. What fills up its last block may be missing, as with Go: umoci leaves it out.
   *
   * @throws {TarError} If it is not whole.
   */
  end(): void {
    if (this.#content <= this.#padding) {
      this.#take(new Uint8Array(this.#content));
      this.#content = 0;
    }
    this.#map?.end();
    const isWhole = this.#content === 0 && Object.keys(this.#extra).length === 0;
    if (this.#zeros < 2 && !(isWhole && this.#pending.length === 0)) {
      throw new TarError("it ends too early");
    }
  }

  #take(bytes: Uint8Array): void {
    this.#map?.next(bytes);
    this.taker.content?.(bytes);
  }

  /** Reads a header, with what follows it if that is about another one; returns its length. */
  #header(bytes: Uint8Array): number {
    if (bytes.length < BLOCK) return 0;
    const header = bytes.subarray(0, BLOCK);
    if (header.every((byte) => byte === 0)) {
      this.#zeros++;
      return BLOCK;
    }
    if (this.#zeros > 0 || numberIn(header.subarray(148, 156)) !== sumOf(header)) {
      throw new TarError("it has a damaged header");
    }
    const type = String.fromCharCode(header[156] ?? 0);
    if (!"xgLK".includes(type)) {
      this.#entry(header, type);
      return BLOCK;
    }
    const size = sizeOf(header.subarray(124, 136));
    if (size > MAX_EXTRA) throw new TarError("it has an extended header that is too long");
    const length = BLOCK + padded(size);
    if (bytes.length < length) return 0;
    const content = bytes.subarray(BLOCK, BLOCK + size);
    if (type === "x") this.#extra.records = readRecords(content);
    if (type === "L") this.#extra.name = cut(content);
    if (type === "K") this.#extra.target = cut(content);
    return length; // "g" is of no member, and Go passes over it
  }

  #entry(header: Uint8Array, written: string): void {
    const { records = [], name, target } = this.#extra;
    this.#extra = {};
    const told = new Map(records.filter(([, value]) => value !== ""));
    for (const key of ["path", "linkpath", `${SPARSE}name`]) {
      if (told.get(key)?.includes("\0")) throw new TarError("it has a name with a byte of 0");
    }
    const field = (from: number, to: number) => header.subarray(from, to);
    const path = name ?? told.get(`${SPARSE}name`) ?? told.get("path") ?? pathIn(header);
    const isFolder = written === "\0" && path.endsWith("/");
    const type = written === "\0" ? isFolder ? "5" : "0" : written;
    const stored = sizeOf(field(124, 136), told.get("size"));
    const size = EMPTY.includes(type) ? 0 : stored;
    this.#map?.end();
    this.#map = checkHoles(records, { type, size });
    const isDevice = type === "3" || type === "4";
    this.#content = padded(size);
    this.#padding = this.#content - size;
    this.taker.entry({
      ...{ path, type, size },
      target: target ?? told.get("linkpath") ?? cut(field(157, 257)),
      mode: numberIn(field(100, 108)) & 0o7777,
      uid: idOf(field(108, 116), told.get("uid")),
      gid: idOf(field(116, 124), told.get("gid")),
      mtime: told.get("mtime") ?? String(numberIn(field(136, 148))),
      device: isDevice ? [numberIn(field(329, 337)), numberIn(field(337, 345))] : [0, 0],
      // The order counts: the oldest form of sparse files has a record for each hole.
      records: records.filter(([key]) => !PLAIN.includes(key)),
    });
  }
}

function pathIn(header: Uint8Array): string {
  const isUstar = decode(header.subarray(257, 263)) === "ustar\0";
  const prefix = isUstar ? cut(header.subarray(345, 500)) : "";
  return prefix ? `${prefix}/${nameOf(header)}` : nameOf(header);
}

function sizeOf(field: Uint8Array, told?: string): number {
  const size = told === undefined ? numberIn(field) : Number(told);
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw new TarError("it has a member whose size is none");
}

function idOf(field: Uint8Array, told?: string): number {
  const id = told === undefined ? numberIn(field) : Number(told);
  if (Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1) return id;
  throw new TarError("it has a member whose owner is none");
}

/** A number in octal digits, or in binary, as GNU has those that are too long for that. */
function numberIn(field: Uint8Array): number {
  const [first = 0, ...rest] = field;
  if (first & 0x80) {
    const start = first & 0x40 ? first - 0x100 : first & 0x3f;
    return rest.reduce((number, byte) => number * 256 + byte, start);
  }
  const digits = decode(field).replace(/^[ \0]+|[ \0]+$/g, "").replace(/\0.*$/s, "");
  if (digits === "") return 0;
  if (/^[0-7]+$/.test(digits)) return parseInt(digits, 8);
  throw new TarError("it has a damaged number");
}
