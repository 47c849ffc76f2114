import { concat } from "../bytes.ts";
import { formatRecords, type PaxRecord, readRecords } from "./pax_records.ts";
import { BLOCK, cut, nameOf, padded, sign, sizeIn, utf8, write } from "./tar_header.ts";

/** A member of a tar archive, as its headers tell it. */
export interface TarMember {
  /** Its path, without a slash at its end. */
  readonly path: string;
  /** Where in the edited archive its headers begin, in bytes. */
  readonly offset: number;
  /** What it is; a whiteout is a device with the numbers 0 and 0, overlayfs's mark of a deletion. */
  readonly type: "folder" | "link" | "whiteout" | "other";
  /** Where it leads to, if it is a link. */
  readonly target?: string;
  /** Who it belongs to, as numbers. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** How the members of an archive are edited. */
export interface TarEdits {
  /**
   * Sees each member before it passes on; the folder itself is none.
   *
   * @throws {Error} To end it all.
   */
  readonly onMember?: ((member: TarMember) => void) | undefined;
  /**
   * Says whether an extended attribute stays. If absent, all do, and their names stay as GNU tar
   * writes and reads them: with `%25` for `%` and `%3D` for `=`.
   */
  readonly keepsAttribute?: ((name: string, value: string, path: string) => boolean) | undefined;
  /**
   * Whether the folder itself passes on, where it is not as folders mostly are: of root, with mode
   * 755, without attributes.
   */
  readonly keepsRoot?: boolean | undefined;
}

const EXTENDED = "x".charCodeAt(0);
const XATTR = "SCHILY.xattr.";

/** The headers of a member, and how much follows them. */
interface Headers {
  /** How long they are, in bytes. */
  readonly length: number;
  /** How long the padded content that follows is, in bytes. */
  readonly content: number;
  /** The member's own name, as it stands in the last of them. */
  readonly name: string;
  /** What passes on in their place. */
  readonly edited: (offset: number) => Uint8Array;
  /** What passes on of the folder itself. */
  readonly ofRoot: () => Uint8Array;
}

/**
 * Edits an archive in pax format while it passes. Leaves out the folder itself, unless told, and what
 * fills up the last write, and sorts the records of extended headers: the system lists attributes in the
 * order in which they were set.
 */
export class TarEditor {
  /** The beginning of a header. */
  #pending = new Uint8Array();
  /** Bytes to come of the content of a file. */
  #content = 0;
  /** How many bytes have passed on. */
  #passed = 0;
  #isOver = false;

  /**
   * Edits nothing yet.
   *
   * @param edits What is changed, beside the above.
   */
  constructor(private readonly edits: TarEdits = {}) {}

  /**
   * Takes the next bytes of the archive.
   *
   * @param chunk Any number of bytes; they may be changed.
   * @returns What passes on.
   */
  next(chunk: Uint8Array): Uint8Array {
    if (this.#isOver) return new Uint8Array();
    const bytes = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    const passed: Uint8Array[] = [];
    const pass = (bytes: Uint8Array) => {
      passed.push(bytes);
      this.#passed += bytes.length;
    };
    let end = 0;
    while (true) {
      const step = Math.min(this.#content, bytes.length - end);
      if (step > 0) pass(bytes.subarray(end, end + step));
      this.#content -= step;
      end += step;
      const headers = this.#read(bytes.subarray(end));
      if (!headers) break;
      if (headers.name === "") {
        this.#isOver = true;
        pass(new Uint8Array(2 * BLOCK));
        return concat(...passed);
      }
      end += headers.length;
      this.#content = headers.content;
      // The folder itself comes first.
      pass(headers.name === "./" ? headers.ofRoot() : headers.edited(this.#passed));
    }
    this.#pending = bytes.slice(end);
    return passed.length === 1 && passed[0] ? passed[0] : concat(...passed);
  }

  /** Reads the headers of a member, if they are there as a whole. */
  #read(bytes: Uint8Array): Headers | undefined {
    if (bytes.length < BLOCK) return undefined;
    if (bytes[156] !== EXTENDED) return this.#headers(bytes.subarray(0, BLOCK), []);
    const size = sizeIn(bytes);
    const length = BLOCK + padded(size) + BLOCK;
    if (bytes.length < length) return undefined;
    return this.#headers(
      bytes.subarray(0, length),
      readRecords(bytes.subarray(BLOCK, BLOCK + size)),
    );
  }

  #headers(bytes: Uint8Array, records: readonly PaxRecord[]): Headers {
    const header = bytes.subarray(bytes.length - BLOCK);
    const told = records.find(([key]) => key === "size")?.[1];
    const content = padded(told === undefined ? sizeIn(header) : Number(told));
    const name = nameOf(header);
    const edited = (offset: number) => {
      const path = pathIn(header, records);
      const type = typeOf(header);
      const target = type === "link" ? { target: targetIn(header, records) } : {};
      this.edits.onMember?.({ path, offset, type, ...target, owner: ownerIn(header, records) });
      const kept = this.#edit(records, path);
      if (records.length === 0) return bytes;
      return kept.length === 0 ? header : extend(bytes.subarray(0, BLOCK), kept, header);
    };
    const ofRoot = () => {
      if (!this.edits.keepsRoot) return new Uint8Array();
      const kept = this.#edit(records, "/");
      const isPlain = isOfRoot(header, kept) && modeIn(header) === 0o755 &&
        !kept.some(([key]) => key.startsWith(XATTR));
      if (isPlain) return new Uint8Array();
      return kept.length === 0 ? header : extend(bytes.subarray(0, BLOCK), kept, header);
    };
    return { length: bytes.length, content, name, edited, ofRoot };
  }

  #edit(records: readonly PaxRecord[], path: string): PaxRecord[] {
    const { keepsAttribute } = this.edits;
    const kept = records.flatMap(([key, value]): PaxRecord[] => {
      if (!keepsAttribute || !key.startsWith(XATTR)) return [[key, value]];
      const name = key.slice(XATTR.length).replaceAll("%3D", "=").replaceAll("%25", "%");
      return keepsAttribute(utf8(name), value, path) ? [[`${XATTR}${name}`, value]] : [];
    });
    return kept.sort(([a], [b]) => a < b ? -1 : 1);
  }
}

/** Makes an extended header of records, before the header that it belongs to. */
function extend(
  extended: Uint8Array,
  records: readonly PaxRecord[],
  header: Uint8Array,
): Uint8Array {
  const text = formatRecords(records);
  const bytes = new Uint8Array(BLOCK + padded(text.length) + BLOCK);
  bytes.set(extended);
  write(bytes, 124, `${text.length.toString(8).padStart(11, "0")}\0`);
  sign(bytes.subarray(0, BLOCK));
  write(bytes, BLOCK, text);
  bytes.set(header, bytes.length - BLOCK);
  return bytes;
}

function modeIn(header: Uint8Array): number {
  return parseInt(cut(header.subarray(100, 108)), 8);
}

function isOfRoot(header: Uint8Array, records: readonly PaxRecord[]): boolean {
  const { uid, gid } = ownerIn(header, records);
  return uid === 0 && gid === 0;
}

function ownerIn(header: Uint8Array, records: readonly PaxRecord[]): TarMember["owner"] {
  const id = (key: string, at: number) =>
    Number(
      records.find(([name]) => name === key)?.[1] ?? parseInt(cut(header.subarray(at, at + 8)), 8),
    );
  return { uid: id("uid", 108), gid: id("gid", 116) };
}

function pathIn(header: Uint8Array, records: readonly PaxRecord[]): string {
  const [name, prefix] = [nameOf(header), cut(header.subarray(345, 500))];
  const told = records.find(([key]) => key === "path")?.[1];
  return utf8(told ?? (prefix ? `${prefix}/${name}` : name)).replace(/\/$/, "");
}

function targetIn(header: Uint8Array, records: readonly PaxRecord[]): string {
  const told = records.find(([key]) => key === "linkpath")?.[1];
  return utf8(told ?? cut(header.subarray(157, 257)));
}

function typeOf(header: Uint8Array): TarMember["type"] {
  const number = (at: number) => parseInt(cut(header.subarray(at, at + 8)), 8);
  switch (String.fromCharCode(header[156] ?? 0)) {
    case "2":
      return "link";
    case "3":
      return number(329) === 0 && number(337) === 0 ? "whiteout" : "other";
    case "5":
      return "folder";
    default:
      return "other";
  }
}
