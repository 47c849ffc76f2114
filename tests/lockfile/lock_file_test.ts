import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  InterruptedError,
  type Lock,
  LockError,
  readLock,
  StoreError,
  writeLock,
} from "@stowage/stowage";
import { holdLock } from "../../src/lockfile/lock_file.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { smallFs } from "../support/mod.ts";

const A = `sha256:${"a".repeat(64)}`;
const B = `sha256:${"b".repeat(64)}`;
const image = { digest: A, id: B, mediaType: "m", size: 1 };

const lock: Lock = {
  schema: 1,
  sources: {
    web: {
      reference: "docker://quay.io/web:1",
      tag: "1",
      index: { digest: B, mediaType: "i", size: 2 },
      platforms: { "linux/arm/v7": image, "linux/amd64": image },
    },
    db: { reference: "dir:db", platforms: { "linux/amd64": image } },
  },
};

const { dir } = await fixture();
const path = dir.join("images.lock.json");

/** What a lock is refused for. */
async function refusal(text: string): Promise<LockError> {
  await Deno.writeTextFile(path, text);
  const error = await assertRejects(() => readLock(path), LockError);
  assertEquals(error.code, "LOCK_INVALID");
  assertStringIncludes(error.message, `"${path}"`);
  assertEquals(await Deno.readTextFile(path), text);
  return error;
}

const problemsOf = async (json: unknown): Promise<string[]> => {
  const { problems, hint = "" } = await refusal(JSON.stringify(json));
  assertStringIncludes(hint, "delete it and run `stowage lock`");
  return problems.map(({ name, reason }) => `${name}: ${reason}`);
};

describe("a lock on disk", () => {
  it("is sorted, has a fact on each line, and is read as it was", async () => {
    await writeLock(path, lock);
    const text = await Deno.readTextFile(path);
    const facts = (digest: string) => [
      `          "digest": "${digest}",`,
      `          "id": "${B}",`,
      '          "mediaType": "m",',
      '          "size": 1',
    ];
    assertEquals(text.split("\n"), [
      "{",
      '  "schema": 1,',
      '  "sources": {',
      '    "db": {',
      '      "platforms": {',
      '        "linux/amd64": {',
      ...facts(A),
      "        }",
      "      },",
      '      "reference": "dir:db"',
      "    },",
      '    "web": {',
      '      "index": {',
      `        "digest": "${B}",`,
      '        "mediaType": "i",',
      '        "size": 2',
      "      },",
      '      "platforms": {',
      '        "linux/amd64": {',
      ...facts(A),
      "        },",
      '        "linux/arm/v7": {',
      ...facts(A),
      "        }",
      "      },",
      '      "reference": "docker://quay.io/web:1",',
      '      "tag": "1"',
      "    }",
      "  }",
      "}",
      "",
    ]);
    assertEquals(await readLock(path), lock);
    await Deno.writeTextFile(path, JSON.stringify({ $schema: "x", ...lock }));
    assertEquals(await readLock(path), { $schema: "x", ...lock });
  });

  it("need not be there", async () => {
    assertEquals(await readLock(path), undefined);
  });

  it("is written as a whole or not at all", async () => {
    await using small = await smallFs("64k");
    const full = join(small.path, "images.lock.json");
    await writeLock(full, lock);
    const text = await Deno.readTextFile(full);
    const names = Array.from({ length: 2000 }, (_, index) => `web-${index}`);
    const sources = Object.fromEntries(names.map((name) => [name, lock.sources["web"]]));
    const large = { ...lock, sources } as Lock;
    const { code, hint } = await assertRejects(() => writeLock(full, large), StoreError);
    assertEquals([code, hint], ["STORE_FULL", "free some room there"]);
    assertEquals([await Deno.readTextFile(full), await list(small.path)], [
      text,
      ["images.lock.json"],
    ]);
    await small.remount("ro");
    const error = await assertRejects(() => writeLock(full, lock), StoreError);
    assertEquals(error.code, "STORE_READ_ONLY");
    assertStringIncludes(error.message, `Cannot write the lock "${full}"`);
  });

  it("is there for whoever reads it while it is written", async () => {
    await writeLock(path, lock);
    const writes = Array.from({ length: 20 }, () => writeLock(path, lock));
    const reads = Array.from({ length: 20 }, () => readLock(path));
    assertEquals(new Set((await Promise.all(reads)).map((read) => JSON.stringify(read))).size, 1);
    await Promise.all(writes);
    assertEquals(await list(dir.path), ["images.lock.json"]);
  });

  it("is refused if it is damaged", async () => {
    const text = JSON.stringify(lock, undefined, 2);
    for (const damaged of ["", "{", text.slice(0, -9)]) {
      const error = await refusal(damaged);
      assertStringIncludes(error.message, "Cannot read the lock");
      assertStringIncludes(error.hint ?? "", "take it from version control");
    }
  });

  it("is refused while a merge is not resolved, which is told", async () => {
    await writeLock(path, lock);
    const [head, ...rest] = (await Deno.readTextFile(path)).split("\n");
    const { message, hint } = await refusal(
      [head, "<<<<<<< HEAD", ...rest, "=======", ...rest, ">>>>>>> other"].join("\n"),
    );
    assertStringIncludes(message, "conflict markers");
    assertEquals(hint, "resolve the conflict; either side may be taken, then run `stowage lock`");
  });

  it("is refused if it is of a later version, whatever that has", async () => {
    const error = await refusal('{"schema":2,"images":[]}');
    assertStringIncludes(error.message, "it is of a later version");
    assertStringIncludes(error.hint ?? "", "use the version of stowage that wrote it");
  });

  it("is refused with all that is wrong in it", async () => {
    assertEquals(await problemsOf(null), ["(lock): expected Object"]);
    assertEquals(await problemsOf([]), [
      "schema: expected a value",
      "sources: expected a value",
      "(lock): expected an object in place of this list",
    ]);
    assertEquals(await problemsOf({}), ["schema: expected a value", "sources: expected a value"]);
    assertEquals(await problemsOf({ schema: 0, sources: {} }), ["schema: expected 1"]);
    const digest = '"sha256:" and 64 lower-case hex digits';
    assertEquals(
      await problemsOf({
        schema: 1,
        sources: {
          web: {
            reference: 1,
            digest: A,
            index: { digest: A.toUpperCase(), mediaType: "i", size: -1 },
            platforms: {
              amd64: image,
              "linux/amd64": { ...image, digest: "sha256:abc", size: 0.5 },
              "linux/386": { digest: A },
            },
          },
        },
        more: true,
      }),
      [
        "sources.web.reference: expected string",
        `sources.web.index.digest: expected ${digest}`,
        "sources.web.index.size: expected a whole number from 0",
        'sources.web.platforms.amd64: expected "os/arch[/variant]"',
        `sources.web.platforms.linux/amd64.digest: expected ${digest}`,
        "sources.web.platforms.linux/amd64.size: expected a whole number from 0",
        "sources.web.platforms.linux/386.id: expected a value",
        'sources.web.digest: expected one of "reference", "tag", "index", "platforms" in place of ' +
        "this key",
        'more: expected one of "$schema", "schema", "sources", "artifacts", "tags" in place of this key',
      ],
    );
  });

  it("is refused with names that JavaScript keeps", async () => {
    const entry = JSON.stringify(lock.sources["db"]);
    for (const name of ["__proto__", "constructor", "prototype"]) {
      const { problems } = await refusal(`{"schema":1,"sources":{"${name}":${entry}}}`);
      assertEquals(problems.map(({ name }) => name), [`sources.${name}`]);
      const top = await refusal(`{"schema":1,"sources":{},"${name}":{"sources":{}}}`);
      assertEquals(new Set(top.problems.map(({ name }) => name)), new Set([name]));
    }
  });

  it("cannot be read where it may not be", async () => {
    await Deno.mkdir(path);
    await assertRejects(() => readLock(path), LockError);
    await assertRejects(() => writeLock(path, lock), StoreError);
    await assertRejects(() => readLock(dir.join(`${"x".repeat(300)}.json`)), StoreError);
  });

  it("is written where a link leads", async () => {
    await Deno.mkdir(dir.join("elsewhere"));
    await writeLock(dir.join("elsewhere/lock.json"), { schema: 1, sources: {} });
    await Deno.symlink("elsewhere/lock.json", path);
    await writeLock(path, lock);
    assertEquals(await Deno.readLink(path), "elsewhere/lock.json");
    assertEquals(await readLock(dir.join("elsewhere/lock.json")), await readLock(path));
    assertEquals((await readLock(path))?.sources, lock.sources);
  });

  it("is held by one at a time, until that is done", async () => {
    const { signal } = new AbortController();
    const turns: string[] = [];
    const told = Promise.withResolvers<void>();
    const first = await holdLock(path, { signal, onWait: () => turns.push("never") });
    const second = holdLock(path, { signal, onWait: told.resolve }).then((held) => {
      turns.push("second");
      return held;
    });
    await told.promise;
    turns.push("first");
    first[Symbol.dispose]();
    using _held = await second;
    assertEquals(turns, ["first", "second"]);

    const controller = new AbortController();
    const onWait = () => controller.abort();
    await assertRejects(
      () => holdLock(path, { signal: controller.signal, onWait }),
      InterruptedError,
    );
  });
});
