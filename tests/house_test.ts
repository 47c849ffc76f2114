/** Keeps the house in order: who knows whom, and that nothing is left lying around. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, relative } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { run } from "./support/run.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** The files that a user imports or runs. */
const DOORS = ["mod.ts", "src/cli/main.ts"];

/** The parts from the lowest to the highest; each may import those below it. */
const LAYERS: readonly (readonly string[])[] = [
  ["config"],
  ["errors"],
  ["shared"],
  ["lib"],
  ["tools"],
  ["store"],
  ["trust"],
  ["graph", "transports", "inputs", "stages"],
  ["run"],
  ["sources"],
  ["build"],
  ["lockfile", "maintain"],
  ["stowage"],
  ["cli"],
];

/** What the files of each part may import, beside their own part. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  LAYERS.flatMap((parts, at) => parts.map((part) => [part, LAYERS.slice(0, at).flat()])),
);

/** One import, as `deno info` tells it. */
interface Import {
  /** The file that imports. */
  readonly from: string;
  /** The file that is imported, or the name of a package as it is written. */
  readonly to: string;
  /** Whether it is loaded when the file that imports is. */
  readonly isStatic: boolean;
}

interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly isDynamic?: boolean;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** What a door leads to. */
interface House {
  readonly files: ReadonlySet<string>;
  /** Files that are imported, but cannot be read. */
  readonly broken: readonly string[];
  readonly imports: readonly Import[];
}

async function readHouse(door: string): Promise<House> {
  const info: Info = JSON.parse(
    await run("sh", ["scripts/deno", "info", "--json", door], { cwd: ROOT }),
  );
  const files = new Set<string>();
  const broken: string[] = [];
  const imports: Import[] = [];
  for (const { specifier, error, dependencies = [] } of info.modules) {
    const from = pathOf(specifier);
    if (from === undefined) continue;
    if (error === undefined) files.add(from);
    else broken.push(from);
    for (const { specifier, isDynamic = false, code, type } of dependencies) {
      const to = pathOf((code ?? type)?.specifier ?? "") ?? specifier;
      imports.push({ from, to, isStatic: code !== undefined && !isDynamic });
    }
  }
  return { files, broken, imports };
}

/** The path of a file of the house; `undefined` for what comes from outside. */
function pathOf(specifier: string): string | undefined {
  if (!specifier.startsWith("file:")) return undefined;
  const path = relative(ROOT, fromFileUrl(specifier));
  return /^(config|src)\/|^mod\.ts$/.test(path) ? path : undefined;
}

/** The part that a file belongs to; `undefined` for packages and for `mod.ts`. */
function partOf(path: string): string | undefined {
  const [top, name = "", ...rest] = path.split("/");
  if (top === "config") return "config";
  if (top !== "src") return undefined;
  if (rest.length > 0) return name;
  const own: Readonly<Record<string, string>> = {
    "stowage.ts": "stowage",
    "options.ts": "run",
    "run.ts": "run",
  };
  return own[name] ?? "shared";
}

/** The files of a folder and all below it that TypeScript reads. */
async function listFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
    if (isDirectory) files.push(...await listFiles(`${folder}/${name}`));
    else if (name.endsWith(".ts")) files.push(`${folder}/${name}`);
  }
  return files;
}

function show(imports: readonly Import[]): string[] {
  return imports.map(({ from, to }) => `${from} imports ${to}`);
}

const houses = await Promise.all(DOORS.map(readHouse));
const imports = houses.flatMap((house) => house.imports);
const files = new Set(houses.flatMap((house) => [...house.files]));

describe("the house", () => {
  it("has the doors that deno.json names", async () => {
    const { exports } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
    assertEquals(Object.values(exports), DOORS.map((door) => `./${door}`));
  });

  it("has every file that it imports", () => {
    assertEquals(new Set(houses.flatMap((house) => house.broken)), new Set());
  });

  it("knows all of its parts", () => {
    const parts = [...files].flatMap((file) => partOf(file) ?? []);
    assertEquals(new Set(parts).difference(new Set(Object.keys(MAY_IMPORT))), new Set());
  });

  for (const [part, allowed] of Object.entries(MAY_IMPORT)) {
    it(`lets ${part} import only what is below it`, () => {
      const wrong = imports.filter(({ from, to }) => {
        const other = partOf(to);
        return partOf(from) === part && other !== undefined && other !== part &&
          !allowed.includes(other);
      });
      assertEquals(show(wrong), []);
    });
  }

  it("goes in and out by the doors only", () => {
    assertEquals(show(imports.filter(({ to }) => DOORS.includes(to))), []);
  });

  it("imports errors from src/errors/mod.ts only", () => {
    const wrong = imports.filter(({ from, to }) =>
      to.startsWith("src/errors/") && to !== "src/errors/mod.ts" && !from.startsWith("src/errors/")
    );
    assertEquals(show(wrong), []);
  });

  it("starts programs in src/tools only", async () => {
    const names = /^(npm:)?dax-sh|^node:child_process$/;
    const wrong = imports.filter(({ from, to }) => names.test(to) && partOf(from) !== "tools");
    assertEquals(show(wrong), []);
    for (const file of files) {
      if (partOf(file) === "tools") continue;
      const text = await Deno.readTextFile(`${ROOT}${file}`);
      assert(!text.includes("Deno.Command"), `${file} starts programs`);
    }
  });

  it("loads dax-sh and viz when they are needed, not before", () => {
    const heavy = imports.filter(({ to }) => /dax-sh|@viz-js\/viz/.test(to));
    assertEquals(new Set(heavy.map(({ to }) => to)), new Set(["dax-sh", "@viz-js/viz"]));
    assertEquals(show(heavy.filter(({ isStatic }) => isStatic)), []);
  });

  it("has no file that no door leads to", async () => {
    const all = [...await listFiles("src"), ...await listFiles("config")];
    assertEquals(all.filter((file) => !files.has(file)), []);
  });

  it("has no file of more than 400 lines", async () => {
    const all = (await Promise.all(["src", "config", "tests"].map(listFiles))).flat();
    const lengths = await Promise.all(all.map(async (file) => {
      const text = await Deno.readTextFile(`${ROOT}${file}`);
      return { file, lines: text.trimEnd().split("\n").length };
    }));
    assertEquals(lengths.filter(({ lines }) => lines > 400), []);
  });
});
