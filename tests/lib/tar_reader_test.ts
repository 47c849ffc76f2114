import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { formatEntry } from "../../src/lib/archive/tar_entry.ts";
import { type TarEntry, TarReader } from "../../src/lib/archive/tar_reader.ts";
import { TarError } from "../../src/lib/archive/tar_header.ts";
import { fixture } from "../support/fixture.ts";
import { run, tar } from "../support/mod.ts";

const { dir } = await fixture();

/** Reads an archive in parts of some bytes, and writes again what is read. */
function pass(archive: Uint8Array, step = archive.length): Uint8Array<ArrayBuffer> {
  const passed: Uint8Array[] = [];
  const reader = new TarReader({
    entry: (entry) =>
      passed.push(formatEntry(entry, entry.path, "12".includes(entry.type) ? entry.target : "")),
    content: (bytes) => passed.push(bytes.slice()),
  });
  for (let at = 0; at < archive.length; at += step) reader.next(archive.slice(at, at + step));
  reader.end();
  return new Uint8Array([...passed, new Uint8Array(1024)].flatMap((part) => [...part]));
}

const describeTree = (path: string) =>
  run("sh", [
    "-euc",
    `cd "$1"; find . -printf '%P %y %m %U:%G %n %s %T@ %l\\n' | LC_ALL=C sort | sed 's/ d \\(.*\\) [0-9]* /\\1/'
     find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
     find . -print0 | LC_ALL=C sort -z | xargs -0 getfattr -d -m - -h`,
    "sh",
    path,
  ]);

const FILES = `mkdir -p a/empty && ln -s ../x a/link && echo y >a/y && ln a/y a/hard
  chmod 4711 a/y && chown 101:7 a/y && touch -d @5 a/y`;
const LONG = `mkdir -p a/${"long".repeat(20)}/${
  "deep".repeat(20)
} && mknod a/device c 5 1 && mkfifo a/pipe
  echo x >a/${"long".repeat(20)}/${"deep".repeat(20)}/file`;
const MORE = `ln -s ${
  "far/".repeat(40)
} a/far; setfattr -n user.x -v "$(printf 'a=b%%25\\n')" a/y; chown 3000000:5 a/link -h
  printf x >"a/$(printf '\\377 \\303\\274')"; touch -d @-1.5 a/y
  truncate -s 1M a/sparse; echo end >>a/sparse; truncate -s 2M a/sparse`;

const KINDS: Readonly<Record<string, readonly [flags: string[], ...scripts: string[]]>> = {
  "V7": [["--format=v7"], FILES],
  "ustar": [["--format=ustar"], FILES, LONG],
  "GNU": [["--format=gnu"], FILES, LONG],
  "pax": [["--format=posix"], FILES, LONG, MORE],
  "pax with holes, 0.0": [["--format=posix", "--sparse", "--sparse-version=0.0"], FILES, MORE],
  "pax with holes, 0.1": [["--format=posix", "--sparse", "--sparse-version=0.1"], FILES, MORE],
  "pax with holes, 1.0": [["--format=posix", "--sparse", "--sparse-version=1.0"], FILES, MORE],
};

describe("TarReader", () => {
  for (const [kind, [flags, ...scripts]] of Object.entries(KINDS)) {
    it(`reads what GNU tar reads: ${kind}`, async () => {
      await run("sh", ["-euc", scripts.join("\n")], { cwd: dir.path });
      const attributes = kind.startsWith("pax") ? ["--xattrs", "--xattrs-include=*"] : [];
      await run("tar", ["--create", "--file=a.tar", "--sort=name", ...flags, ...attributes, "a"], {
        cwd: dir.path,
      });
      const archive = await Deno.readFile(dir.join("a.tar"));
      for (const [name, bytes] of [["one", pass(archive)], ["two", pass(archive, 333)]] as const) {
        await Deno.writeFile(dir.join(`${name}.tar`), bytes);
      }
      const made: string[] = [];
      for (const name of ["a", "one", "two"]) {
        await Deno.mkdir(dir.join(`out/${name}`), { recursive: true });
        const from = dir.join(`${name}.tar`);
        const how = ["--extract", "--file", from, "--preserve-permissions", "--numeric-owner"];
        await run("tar", [...how, "--xattrs", "--xattrs-include=*"], {
          cwd: dir.join("out", name),
        });
        made.push(await describeTree(dir.join("out", name, "a")));
      }
      assertEquals(made[1], made[0]);
      assertEquals(made[2], made[0]);
    });
  }

  const read = (bytes: Uint8Array): TarEntry[] => {
    const entries: TarEntry[] = [];
    const reader = new TarReader({ entry: (entry) => entries.push(entry) });
    reader.next(bytes);
    reader.end();
    return entries;
  };

  it("passes over what is about no member, and what follows the end", async () => {
    await run("sh", ["-euc", "echo x >x"], { cwd: dir.path });
    const flags = ["--format=posix", "--pax-option=comment=hello,path=other"];
    await run("tar", ["--create", "--file=x.tar", ...flags, "x"], { cwd: dir.path });
    const archive = await Deno.readFile(dir.join("x.tar"));
    assertEquals(read(archive).map(({ path }) => path), ["x"]);
    assertEquals(read(new Uint8Array([...archive, 1, 2, 3])).map(({ path }) => path), ["x"]);
  });

  it("refuses what is damaged, or ends too early", () => {
    const archive = tar({ "a": "content", "b": "" });
    const refuse = (change: (bytes: Uint8Array) => Uint8Array) =>
      assertThrows(() => read(change(archive.slice())), TarError).message;
    assertEquals(refuse((bytes) => bytes.fill(0x41, 0, 1)), "it has a damaged header");
    assertEquals(refuse((bytes) => bytes.subarray(0, 700)), "it ends too early");
    assertEquals(refuse((bytes) => bytes.subarray(0, 1100)), "it ends too early");
    assertEquals(
      refuse(() => new TextEncoder().encode("none".repeat(200))),
      "it has a damaged number",
    );
    assertEquals(read(archive.subarray(0, 1024)).length, 1);
  });
});
