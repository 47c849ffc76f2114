import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { PaxRecord } from "../../src/lib/archive/pax_records.ts";
import { formatEntry } from "../../src/lib/archive/tar_entry.ts";
import { type TarEntry, TarReader } from "../../src/lib/archive/tar_reader.ts";
import { TarError } from "../../src/lib/archive/tar_header.ts";
import { fixture } from "../support/fixture.ts";
import { run, tar } from "../support/mod.ts";

const { dir } = await fixture();

const EMPTY: TarEntry = {
  ...{ path: "", target: "", type: "0", size: 0, mode: 0o644, uid: 0, gid: 0, mtime: "0" },
  ...{ device: [0, 0], records: [] },
};

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
    assertEquals(refuse((bytes) => bytes.subarray(0, 518)), "it ends too early");
    assertEquals(refuse((bytes) => bytes.subarray(0, 1100)), "it ends too early");
    assertEquals(
      refuse(() => new TextEncoder().encode("none".repeat(200))),
      "it has a damaged number",
    );
    assertEquals(read(archive.subarray(0, 1024)).length, 1);
  });

  it("fills up a last block that umoci leaves short", () => {
    const [bytes, content]: [Uint8Array, number[]] = [tar({ "a": "content" }), []];
    const reader = new TarReader({ entry: () => {}, content: (bytes) => content.push(...bytes) });
    reader.next(bytes.subarray(0, 700));
    reader.next(bytes.subarray(700, 701));
    reader.end();
    assertEquals(content, [...bytes.subarray(512, 1024)]);
  });

  it("refuses holes that GNU tar would read otherwise than engines", () => {
    const member = (records: readonly PaxRecord[], content: string, type = "0") => {
      const bytes = new TextEncoder().encode(content);
      const entry = { ...EMPTY, type, size: bytes.length, records };
      const filled = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
      filled.set(bytes);
      return read(new Uint8Array([...formatEntry(entry, "a"), ...filled, ...tar({ "b": "" })]));
    };
    const old = (map: string, whole = "4096", more: readonly PaxRecord[] = []): PaxRecord[] => [
      ...[["GNU.sparse.size", whole], ["GNU.sparse.map", map]] as const,
      ...more,
    ];
    const later: PaxRecord[] = [
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.realsize", "4096"],
    ];
    const map = (text: string) => text.padEnd(512, "\0");
    const data = "x".repeat(512);
    assertEquals(member(old("0,512,4096,0"), data).length, 2);
    assertEquals(member(later, map("2\n0\n512\n4096\n0\n") + data).length, 2);
    const wrong: Readonly<Record<string, () => unknown>> = {
      "more data than there are": () => member(old("0,1024,4096,0"), data),
      "no end": () => member(old("0,512"), data),
      "a file that ends before": () => member(old("0,512,8192,0"), data),
      "data that go back": () => member(old("512,512,0,512,4096,0"), data + data),
      "data that begin within a block": () => member(old("0,5,512,5,4096,0"), data),
      "half a piece": () => member(old("0,512,4096"), data),
      "no number": () => member(old("0,512,0x1000,0"), data),
      "two sizes": () => member(old("0,512,4096,0", "4096", [["GNU.sparse.realsize", "1"]]), data),
      "two maps": () => member([...later, ["GNU.sparse.map", "0,4096"]], data),
      "another version": () => member([["GNU.sparse.major", "2"]], data),
      "a folder": () => member(old("0,512,4096,0"), "", "5"),
      "a later map with more data": () => member(later, map("2\n0\n1024\n4096\n0\n") + data),
      "a later map that has no end": () => member(later, map("9\n0\n")),
      "a later map that is none": () => member(later, map("none\n")),
      "no later map": () => member(later, ""),
    };
    for (const [name, make] of Object.entries(wrong)) assertThrows(make, TarError, "holes", name);
  });
});
