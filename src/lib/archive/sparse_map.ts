import type { PaxRecord } from "./pax_records.ts";
import { BLOCK, decode, padded, TarError } from "./tar_header.ts";

/** What begins the names of all records about the holes of a file. */
export const SPARSE = "GNU.sparse.";

/** As long may a map be that stands before the data of a file, in bytes. */
const MAX_MAP = 2 ** 20;

/**
 * Checks where the data of a file with holes are. Of a map that does not fit, GNU tar makes another
 * file than engines do, which refuse it: it may take what follows in the archive for data.
 * https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
 *
 * @param records The records of a member.
 * @param member Its type, and how long its content is, in bytes.
 * @returns What takes its content, where the map is in that.
 * @throws {TarError} If the map does not fit.
 */
export function checkHoles(
  records: readonly PaxRecord[],
  { type, size }: { readonly type: string; readonly size: number },
): MapReader | undefined {
  const own = records.flatMap(([key, value]): PaxRecord[] =>
    key.startsWith(SPARSE) ? [[key.slice(SPARSE.length), value]] : []
  );
  if (own.length === 0) return undefined;
  const told = new Map(own);
  const sizes = own.filter(([key]) => ["size", "realsize"].includes(key)).map(([, value]) => value);
  const [whole = ""] = sizes;
  if (type !== "0" || sizes.some((other) => other !== whole)) throw wrong();
  const pieces = own.filter(([key]) => key === "offset" || key === "numbytes");
  const version = `${told.get("major") ?? 0}.${told.get("minor") ?? 0}`;
  if (version === "1.0") {
    if (pieces.length > 0 || told.has("map")) throw wrong();
    return new MapReader(size, whole);
  }
  if (!["0.0", "0.1"].includes(version)) throw wrong();
  const map = told.get("map");
  if (map !== undefined && pieces.length > 0) throw wrong();
  if (pieces.some(([key], at) => key !== ["offset", "numbytes"][at % 2])) throw wrong();
  check(map?.split(",") ?? pieces.map(([, value]) => value), whole, size);
  return undefined;
}

/** Reads a map that stands before the data. */
export class MapReader {
  #text = "";
  #lines = 0;
  #isRead = false;

  /**
   * @param size How long the content is with the map, in bytes.
   * @param whole How long the file is with its holes, as it is written.
   */
  constructor(private readonly size: number, private readonly whole: string) {}

  /**
   * Takes the next part of the content.
   *
   * @param bytes The part.
   * @throws {TarError} If the map does not fit.
   */
  next(bytes: Uint8Array): void {
    if (this.#isRead) return;
    const text = decode(bytes);
    this.#text += text;
    this.#lines += text.split("\n").length - 1;
    const count = this.#lines > 0 ? numberIn(this.#text.slice(0, this.#text.indexOf("\n"))) : 0;
    if (this.#lines > 2 * count && this.#lines > 0) {
      const lines = this.#text.split("\n").slice(0, 2 * count + 1);
      const length = padded(lines.join("\n").length + 1);
      check(lines.slice(1), this.whole, this.size - length);
      this.#isRead = true;
    } else if (this.#text.length > MAX_MAP) throw wrong();
  }

  /**
   * Ends the content.
   *
   * @throws {TarError} If it has no map.
   */
  end(): void {
    if (!this.#isRead) throw wrong();
  }
}

/** Data are written without gaps, and read in whole blocks. */
function check(map: readonly string[], whole: string, room: number): void {
  if (map.length % 2 !== 0) throw wrong();
  let [end, stored] = [0, 0];
  for (let at = 0; at < map.length; at += 2) {
    const [offset, length] = [numberIn(map[at]), numberIn(map[at + 1])];
    if (offset < end || (length > 0 && stored % BLOCK !== 0)) throw wrong();
    end = offset + length;
    stored += length;
  }
  if (end !== numberIn(whole) || padded(stored) > padded(Math.max(room, 0))) throw wrong();
}

function numberIn(text = ""): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw wrong();
}

function wrong(): TarError {
  return new TarError("it has a file whose holes are not where they can be");
}
