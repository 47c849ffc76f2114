/** One file of an archive: its content, or what else it is. */
export type TarFile =
  | string
  | Uint8Array
  | { readonly data: string | Uint8Array; readonly mode?: number; readonly owner?: number }
  | { readonly dir: true; readonly mode?: number; readonly owner?: number }
  | { readonly symlink: string }
  | { readonly hardlink: string };

/** Paths, and what is there. Paths are written as they are: whiteouts, `../x` and `/x` as well. */
export type TarTree = Readonly<Record<string, TarFile>>;

const BLOCK = 512;
const encoder = new TextEncoder();

/**
 * Writes a tar archive, the same bytes for the same files.
 *
 * @param tree The files, in order.
 * @param bare Leave out folders that are not listed; they are added, unless told.
 * @returns The archive.
 */
export function tar(tree: TarTree, bare = false): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [path, file] of bare ? Object.entries(tree) : withParents(tree)) {
    const { type, mode, owner, target, data } = describe(file);
    parts.push(header({ path: type === "5" ? `${path}/` : path, type, mode, owner, target, data }));
    parts.push(data, new Uint8Array(-data.length & (BLOCK - 1)));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return concat(parts);
}

function withParents(tree: TarTree): Map<string, TarFile> {
  const files = new Map<string, TarFile>();
  for (const [path, file] of Object.entries(tree)) {
    for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
      const parent = path.slice(0, end);
      if (!files.has(parent)) files.set(parent, tree[parent] ?? { dir: true });
    }
    files.set(path, file);
  }
  return files;
}

interface Entry {
  readonly type: string;
  readonly mode: number;
  readonly owner: number;
  readonly target: string;
  readonly data: Uint8Array;
}

function describe(file: TarFile): Entry {
  const entry = { type: "0", mode: 0o644, owner: 0, target: "", data: new Uint8Array() };
  if (typeof file === "string" || file instanceof Uint8Array) {
    return { ...entry, data: bytes(file) };
  }
  if ("symlink" in file) return { ...entry, type: "2", mode: 0o777, target: file.symlink };
  if ("hardlink" in file) return { ...entry, type: "1", target: file.hardlink };
  const { mode, owner = 0 } = file;
  if ("dir" in file) return { ...entry, type: "5", mode: mode ?? 0o755, owner };
  return { ...entry, mode: mode ?? 0o644, owner, data: bytes(file.data) };
}

function header(entry: Entry & { readonly path: string }): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = (offset: number, size: number, value: string) => {
    const field = encoder.encode(value);
    if (field.length > size) throw new RangeError(`"${value}" is longer than ${size} bytes`);
    block.set(field, offset);
  };
  const octal = (offset: number, size: number, value: number) =>
    text(offset, size, `${value.toString(8).padStart(size - 1, "0")}\0`);

  text(0, 100, entry.path);
  octal(100, 8, entry.mode);
  octal(108, 8, entry.owner);
  octal(116, 8, entry.owner);
  octal(124, 12, entry.data.length);
  octal(136, 12, 0);
  text(148, 8, " ".repeat(8));
  text(156, 1, entry.type);
  text(157, 100, entry.target);
  text(257, 8, "ustar\x0000");
  octal(148, 7, block.reduce((sum, byte) => sum + byte, 0));
  return block;
}

function bytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
