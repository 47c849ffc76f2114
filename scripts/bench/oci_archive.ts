import { ociArchive, tree } from "../../config/mod.ts";
import { run } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { bytesOnDisk } from "./disk.ts";
import { type Folder, folderIn, remove } from "./folder.ts";
import { shell, stowage, writeConfig } from "./programs.ts";
import type { Contender, Group } from "./rounds.ts";
import { copySystemFiles } from "./system_files.ts";
import { formatSize } from "./units.ts";

/** The archives of a tree of 1 GB: of files from /usr. */
export const ociArchiveLarge: Case = async ({ dir, mb }) => {
  const source = await folderIn(dir, "tree");
  await copySystemFiles(source.path, mb(1_000));
  const size = formatSize(await bytesOnDisk(source.path));
  const kinds = [
    { compression: "gzip", command: "gzip -6 --no-name" },
    { compression: "zstd", command: "zstd -3 --quiet" },
  ] as const;
  return await Promise.all(kinds.map(async ({ compression, command }): Promise<Group> => ({
    id: `archive-${compression}`,
    title: `${size} of files from /usr into an archive with ${compression}`,
    contenders: [
      tarPiped(dir, source, command),
      await build(dir, source, compression),
    ],
    isCharted: true,
  })));
};

function tarPiped(dir: Folder, source: Folder, command: string): Contender {
  const name = command.split(" ")[0] ?? "";
  const file = dir.join(`tree.tar.${name}`);
  return {
    name: `tar | ${name}`,
    run: shell(`tar --create --directory "$1" . | ${command} >"$0"`, file, source.path),
    before: () => remove(file),
    disk: () => bytesOnDisk(file),
    check: async (isThorough) => {
      if (isThorough) await compare(source, `${name} --decompress --stdout "$0"`, file);
    },
  };
}

async function build(
  dir: Folder,
  source: Folder,
  compression: "gzip" | "zstd",
): Promise<Contender> {
  const [store, out] = [dir.join(`store-${compression}`), dir.join(`out-${compression}`)];
  const filename = "app.oci.tar";
  const config = await writeConfig(dir, `archive-${compression}.json`, {
    inputs: { files: tree(source.path) },
    stages: { app: ociArchive({ inputs: ["files"], filename, compression }) },
  });
  const file = `${out}/app/${filename}`;
  return {
    name: "stowage build",
    run: stowage("build", "--config", config, "--store", store, "--out", out),
    before: async () => {
      await remove(store);
      await remove(out);
    },
    disk: () => bytesOnDisk(file),
    check: async (isThorough) => {
      if (!isThorough) return void await Deno.stat(file);
      const blobs = (await run("tar", ["--list", "--verbose", "--file", file])).split("\n")
        .filter((line) => line.includes("blobs/sha256/"))
        .map((line) => line.split(/\s+/))
        .sort(([, , a], [, , b]) => Number(b) - Number(a));
      const layer = blobs[0]?.at(-1) ?? "";
      const unpack = `tar --extract --to-stdout --file "$0" "$1" | ${compression} -dc`;
      await compare(source, unpack, file, layer);
    },
  };
}

/** Compares an archive with the tree that it is of; dates and owners may differ. */
async function compare(source: Folder, unpack: string, ...args: string[]): Promise<void> {
  const script = `${unpack} | LC_ALL=C tar --compare --directory "$TREE" 2>&1`;
  const differ = await run("sh", ["-c", `${script} || true`, ...args], {
    env: { TREE: source.path },
  });
  const count = await run("sh", ["-c", `${unpack} | tar --list | grep -vc '/$'`, ...args]);
  const wanted = await run("sh", ["-c", `find "$0" -type f | wc -l`, source.path]);
  const wrong = differ.split("\n").filter((line) => !/: (Mod time|[UG]id) differs$|^$/.test(line));
  if (wrong.length > 0 || Number(count) !== Number(wanted)) {
    throw new Error(`"${args[0]}" is not of the tree: ${count} files; ${wrong[0] ?? ""}`);
  }
}
