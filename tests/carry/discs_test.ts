import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { basename } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { BundleError, type Config, type PieceEvent, type RunEvent } from "@stowage/stowage";
import { jsonLines, onTerminal, stowage as cli } from "../cli/cli.ts";
import { audit } from "../faults/audit.ts";
import { flip } from "../maintain/verify_fixture.ts";
import { run } from "../support/mod.ts";
import { cargoFixture } from "./fixture.ts";

const cargo = await cargoFixture();
const { dir, base, tool, web, from } = cargo;
const SOURCES = { web: from("library/web:1", { index: true }), tool: from("acme/tool:1") };
const there = (sources: Config["sources"] = SOURCES) =>
  cargo.open(sources, { store: dir.join("there"), offline: true });

/** Makes a bundle, each piece of which is on a disc of its own; the first has the sums, too. */
async function burn(options: { readonly sign?: string } = {}): Promise<string[]> {
  const made = await cargo.open(SOURCES).createBundle(dir.join("site.tar"), {
    chunk: 2 ** 20,
    ...options,
  });
  return await Promise.all(made.pieces.map(async (piece, at) => {
    const disc = dir.join(`disc${at + 1}`);
    await Deno.mkdir(disc, { recursive: true });
    const files = at > 0 ? [piece] : [piece, made.sums, made.signature].filter((file) => file);
    for (const file of files) await Deno.rename(file ?? "", `${disc}/${basename(file ?? "")}`);
    return `${disc}/${basename(piece)}`;
  }));
}

/** Loads what is on one disc, of which more has to come. */
async function loadOne(piece: string, options = {}): Promise<{
  readonly error: BundleError;
  readonly pieces: readonly PieceEvent[];
}> {
  const pieces: PieceEvent[] = [];
  const onEvent = (event: RunEvent) => event.type === "piece" && pieces.push(event);
  const error = await assertRejects(
    () => there().loadBundle(piece, { ...options, onEvent }),
    BundleError,
  );
  return { error, pieces };
}

describe("a bundle on discs", () => {
  it("is loaded one disc at a time, in their order, and each is read once", async () => {
    const key = dir.join("key");
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    const [one = "", two = "", three = "", four = ""] = await burn({ sign: key });
    const signed = { verifyKey: `${key}.pub` };
    const first = await loadOne(one, signed);
    const names = [2, 3, 4].map((at) => `site.tar.00${at}`);
    assertEquals([first.error.code, first.error.items], ["BUNDLE_INCOMPLETE", names]);
    assertStringIncludes(first.error.message, "site.tar.002 (piece 2 of 4");
    assertStringIncludes(first.error.message, "Cannot take all of ");
    assertEquals(first.pieces.map(({ status, number, of }) => [status, number, of]), [
      ["verified", 1, 4],
      ["wanted", 2, 4],
    ]);
    assertEquals(await there().list(), []);
    await Deno.remove(one); // it is out of the drive
    const wrong = await loadOne(three, signed);
    assertEquals(wrong.error.items, ["site.tar.002", "site.tar.004"]);
    assertEquals(wrong.pieces.map(({ status, number }) => [status, number]), [["wanted", 2]]);

    const other = dir.join("other");
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other]);
    const foreign = await loadOne(two, { verifyKey: `${other}.pub` });
    assertEquals(foreign.error.code, "BUNDLE_UNSIGNED");
    await flip(two, 500_000);
    const bad = await loadOne(two, signed);
    assertEquals([bad.error.code, bad.error.items], ["BUNDLE_DAMAGED", ["site.tar.002"]]);
    await flip(two, 500_000);
    assertEquals((await loadOne(two, signed)).error.items, names.slice(1));
    await Deno.remove(two);
    await there().gc({ all: true }); // which leaves what waits for the other discs
    assertEquals((await loadOne(three, signed)).error.items, names.slice(2));
    const events: RunEvent[] = [];
    const loaded = await there().loadBundle(four, {
      ...signed,
      onEvent: (event) => events.push(event),
    });
    assertEquals(loaded.images.map(({ status }) => status), Array(5).fill("fetched"));
    assert(loaded.signedBy);
    const { images } = await there().fetch();
    assertEquals(images.map(({ id, status }) => [id, status]), [
      [web[0]?.id, "cached"],
      [tool.id, "cached"],
    ]);
    await audit(dir.join("there"), { isSettled: true });
    assertEquals((await there().verify()).findings, []);
  });

  it("takes nothing twice that is large, and asks for a disc again whose layer is gone", async () => {
    const [one = "", two = "", three = "", four = ""] = await burn();
    for (const piece of [one, two]) await loadOne(piece);
    const kept = await run("du", ["-s", "-B1", dir.join("there/bundles")]);
    assert(Number.parseInt(kept) < base.size / 10, kept);
    await Deno.remove(dir.join("there/blobs"), { recursive: true });
    const { error } = await loadOne(three);
    assertEquals(error.items, ["site.tar.001", "site.tar.002", "site.tar.004"]);
    const wanted: string[] = [];
    const discs = [one, two, four];
    await there().loadBundle(three, {
      nextPiece: ({ name }) => {
        wanted.push(name);
        return Promise.resolve(discs.find((disc) => disc.endsWith(name)));
      },
    });
    assertEquals(wanted, ["site.tar.001", "site.tar.002", "site.tar.004"]);
    assertEquals((await there().verify()).findings, []);
  });

  it("begins anew where what is kept is damaged", async () => {
    const [one = "", two = "", three = "", four = ""] = await burn();
    await loadOne(one);
    const [digest = ""] = await listed("there/bundles");
    await flip(dir.join(`there/bundles/${digest}/bundle`), 600);
    assertEquals((await loadOne(two)).error.code, "BUNDLE_DAMAGED");
    const lost = await loadOne(two);
    assertEquals(lost.error.items, ["site.tar.sums.json"]);
    await loadOne(one);
    await there().loadBundle([one, two, three, four]);
    assertEquals((await there().fetch()).images.length, 2);
    assertEquals(await listed("there/bundles"), []);
  });

  it("is asked for on a terminal, disc by disc", async () => {
    const [one = "", ...others] = await burn();
    const [two = "", three = "", four = ""] = others;
    const store = `--store ${dir.join("there")}`;
    const { code, stdout } = await onTerminal(`$stowage bundle load ${one} ${store}`, {
      cwd: dir.path,
      // A folder without it, folders, a file.
      typed: [one, two, three].map((piece) => piece.replace(/[^/]*$/, "")).join("\n") +
        `\n${four}\n`,
    });
    assertEquals(code, 0, stdout);
    for (const at of [2, 3, 4]) assertStringIncludes(stdout, `site.tar.00${at} (piece ${at} of 4`);
    assertEquals((await there().fetch()).images.length, 2);
    // Nobody is asked where a program reads.
    const empty = ["bundle", "load", one, "--store", dir.join("empty"), "--json"];
    const said = await cli(empty, { cwd: dir.path });
    assertEquals(said.code, 1);
    const lines = jsonLines(said.stdout);
    assertEquals(lines.filter(({ type }) => type === "piece").length, 2);
    assertStringIncludes(JSON.stringify(lines.at(-1)), '"items":["site.tar.002"');
  });
});

async function listed(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(dir.join(folder)), ({ name }) => name);
}
