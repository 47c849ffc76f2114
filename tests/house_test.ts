/** Keeps the house in order: who knows whom, and that nothing is left lying around. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, relative } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { run } from "./support/run.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** The files that a user imports or runs. */
const ENTRIES = ["mod.ts", "src/cli/main.ts"];

/** The parts from the lowest to the highest; each may import those below it. */
const LAYERS: readonly (readonly string[])[] = [
  ["config"],
  ["errors"],
  ["shared"],
  ["lib"],
  ["tools"],
  ["store"],
  ["trust"],
  ["transports", "inputs", "stages"],
  ["graph"],
  ["run"],
  ["sources"],
  ["build"],
  ["carry", "import", "lockfile", "maintain"],
  ["fleet", "report"],
  ["stowage"],
  ["cli"],
];

/**
 * The doors of each folder: its files that are imported from outside it. Few doors make a folder
 * easy to know, so think twice before you add one. Each file of `lib` is there to be imported.
 */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  config: [
    "artifacts.ts",
    "cache.ts",
    "digest.ts",
    "inputs.ts",
    "mod.ts",
    "reference.ts",
    "registries.ts",
    "schema.ts",
    "schema_parts.ts",
    "sources.ts",
    "stages/schemas.ts",
    "stages/quadlet.ts",
    "stages/storage_conf.ts",
    "tags.ts",
    "without_login.ts",
  ],
  "src/build": [
    "ahead.ts",
    "build.ts",
    "fetch.ts",
    "pipeline.ts",
    "plan.ts",
    "plan_stages.ts",
    "record_run.ts",
    "run_nodes.ts",
    "run_pipeline.ts",
  ],
  "src/carry": [
    "bundle_format.ts",
    "cargo.ts",
    "create_bundle.ts",
    "discs.ts",
    "far_registry.ts",
    "load_bundle.ts",
    "look_into_bundle.ts",
    "meter.ts",
    "mirror_config.ts",
    "prune.ts",
    "push.ts",
    "receipt.ts",
    "sender.ts",
    "target.ts",
  ],
  "src/cli": [],
  "src/errors": ["mod.ts"],
  "src/fleet": [
    "ci/make_workflow.ts",
    "fill_caches.ts",
    "prune_cache.ts",
    "tree_caches.ts",
    "workers/on_workers.ts",
    "workers/worker.ts",
  ],
  "src/graph": [
    "artifact_draft.ts",
    "compile.ts",
    "draw.ts",
    "expand_tags.ts",
    "formats.ts",
    "issues.ts",
    "lock_schema.ts",
    "nearest.ts",
    "node.ts",
    "pin.ts",
    "select.ts",
    "shard.ts",
  ],
  "src/import": ["export_osbuild.ts", "import_config.ts", "import_kinds.ts"],
  "src/inputs": ["mod.ts"],
  "src/lockfile": [
    "outdated.ts",
    "compare_lock.ts",
    "lock_artifacts.ts",
    "lock_file.ts",
    "make_lock.ts",
    "update_lock.ts",
  ],
  "src/maintain": [
    "choose_images.ts",
    "gc.ts",
    "list_artifacts.ts",
    "list_images.ts",
    "look_after.ts",
    "require_store.ts",
    "verify.ts",
  ],
  "src/report": ["format_report.ts", "make_report.ts", "report.ts"],
  "src/sources": [
    "accepts.ts",
    "artifacts.ts",
    "caches.ts",
    "carried_images.ts",
    "host_images.ts",
    "image_item.ts",
    "other_platforms.ts",
    "pins.ts",
    "skopeo.ts",
    "source.ts",
    "stored_images.ts",
    "tag_lists.ts",
    "with_retry.ts",
  ],
  "src/stages": ["mod.ts"],
  "src/store": [
    "artifacts.ts",
    "blobs.ts",
    "candidates.ts",
    "check.ts",
    "gc.ts",
    "gc_candidates.ts",
    "hold.ts",
    "image.ts",
    "kept_bundles.ts",
    "last_run.ts",
    "last_use.ts",
    "lost_indexes.ts",
    "manifest.ts",
    "origin.ts",
    "own_folders.ts",
    "quarantine.ts",
    "referrers.ts",
    "scratch.ts",
    "store.ts",
    "trees.ts",
    "verify_artifacts.ts",
    "verify_files.ts",
    "verify_image.ts",
    "verify_referrers.ts",
    "workspace.ts",
  ],
  "src/tools": [
    "deno.ts",
    "doctor.ts",
    "executable.ts",
    "gzip.ts",
    "hash/digest_file.ts",
    "hash/digest_pool.ts",
    "pipes.ts",
    "process.ts",
    "read_layer.ts",
    "sandbox.ts",
    "signing.ts",
    "skopeo.ts",
    "skopeo_archive.ts",
    "skopeo_args.ts",
    "skopeo_failure.ts",
    "skopeo_policy.ts",
    "skopeo_version.ts",
    "skopeo_words.ts",
    "tar.ts",
    "tree.ts",
    "tree_date.ts",
    "tree_paths.ts",
  ],
  "src/transports": [
    "absence.ts",
    "docker/client.ts",
    "docker/credentials.ts",
    "docker/errors.ts",
    "docker/registries.ts",
    "docker/repository.ts",
    "docker/site.ts",
    "explain_failure.ts",
    "location.ts",
    "mod.ts",
  ],
  "src/transports/docker": [
    "client.ts",
    "credentials.ts",
    "errors.ts",
    "mod.ts",
    "registries.ts",
    "repository.ts",
    "site.ts",
  ],
  "src/trust": ["policy.ts", "trust.ts"],
};

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

/** What an entry leads to. */
interface House {
  readonly files: ReadonlySet<string>;
  /** Files that are imported, but cannot be read. */
  readonly broken: readonly string[];
  readonly imports: readonly Import[];
}

async function readHouse(entry: string): Promise<House> {
  const info: Info = JSON.parse(
    await run("sh", ["scripts/deno", "info", "--json", entry], { cwd: ROOT }),
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
    "build_engine.ts": "stowage",
    "fetch_engine.ts": "stowage",
    "sdk.ts": "stowage",
    "stowage.ts": "stowage",
    "left_caches.ts": "run",
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

/** The files that are loaded with some others. */
function loadedBy(entries: readonly string[]): ReadonlySet<string> {
  const loaded = new Set(entries);
  for (const file of loaded) {
    for (const { from, to, isStatic } of imports) {
      if (from === file && isStatic && files.has(to)) loaded.add(to);
    }
  }
  return loaded;
}

const houses = await Promise.all(ENTRIES.map(readHouse));
const imports = houses.flatMap((house) => house.imports);
const files = new Set(houses.flatMap((house) => [...house.files]));

describe("the house", () => {
  it("has the entries that deno.json names", async () => {
    const { exports } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
    assertEquals(Object.values(exports), ENTRIES.map((entry) => `./${entry}`));
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

  it("imports nothing from its entries", () => {
    assertEquals(show(imports.filter(({ to }) => ENTRIES.includes(to))), []);
  });

  it("knows the doors of each folder", () => {
    const folders = [...files].flatMap((file) => /^(config|src\/[^/]+)\//.exec(file)?.[1] ?? []);
    const listed = Object.keys(DOORS).filter((folder) => folders.includes(folder));
    assertEquals(new Set(listed), new Set(folders).difference(new Set(["src/lib"])));
  });

  for (const [folder, doors] of Object.entries(DOORS)) {
    it(`lets others into ${folder} by its doors only`, () => {
      const isInside = (file: string) => file.startsWith(`${folder}/`);
      const entered = imports.filter(({ from, to }) => isInside(to) && !isInside(from));
      const used = new Set(entered.map(({ to }) => to.slice(folder.length + 1)));
      const wrong = entered.filter(({ to }) => !doors.includes(to.slice(folder.length + 1)));
      assertEquals(show(wrong), []);
      assertEquals(doors.filter((door) => !used.has(door)), [], "nobody uses these doors");
    });
  }

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

  it("has one way to read what others may have put in the place of a file", async () => {
    const wrong = await Promise.all([...files].map(async (file) => {
      const text = await Deno.readTextFile(`${ROOT}${file}`);
      return /Deno\.read(Text)?File(Sync)?\(/.test(text) ? [file] : [];
    }));
    // That way itself, and what npm has just put into a folder of our own.
    assertEquals(wrong.flat().sort(), ["src/cli/compile/bundle.ts", "src/lib/fs/outside_file.ts"]);
  });

  it("has one way to show others' words on a terminal", () => {
    const styled = imports.filter(({ to }) =>
      to.includes("fmt/colors") || /std\/fmt.*colors/.test(to)
    );
    const allowed = [
      "src/cli/columns.ts",
      "src/cli/style.ts",
      "src/cli/terminal.ts",
      "src/lib/words.ts",
    ];
    assertEquals([...new Set(styled.map(({ from }) => from))].sort(), allowed);
  });

  it("loads dax-sh, viz and queues when they are needed, not before", () => {
    const heavy = imports.filter(({ to }) =>
      /dax-sh|@viz-js\/viz|^(bullmq|ioredis|pg)$|npm:\/?(bullmq|ioredis|pg)@/.test(to)
    );
    const packages = ["dax-sh", "@viz-js/viz", "bullmq", "ioredis", "pg"];
    assertEquals(new Set(heavy.map(({ to }) => to)), new Set(packages));
    assertEquals(show(heavy.filter(({ isStatic }) => isStatic)), []);
  });

  it("compiles a config without what runs it, so that it starts at once", () => {
    const loaded = loadedBy(ENTRIES);
    assert(loaded.has("src/stages/mod.ts") && loaded.has("src/inputs/mod.ts"));
    const heavy = /^src\/(run\.ts$|(tools|store|trust|build|stages\/run)\/)/;
    assertEquals([...loaded].filter((file) => heavy.test(file)), []);
  });

  it("loads little for a fetch that finds all in the store", () => {
    const loaded = loadedBy([
      "src/cli/main.ts",
      "src/cli/commands/fetch.ts",
    ]);
    const heavy = /^src\/(carry|fleet|import|maintain|report|tools\/(hash|process|skopeo\.ts))/;
    assertEquals([...loaded].filter((file) => heavy.test(file)), []);
    for (const file of ["image_fetcher.ts", "skopeo_runner.ts", "places.ts", "resolve.ts"]) {
      assert(files.has(`src/sources/${file}`) && !loaded.has(`src/sources/${file}`), file);
    }
    // What each needs comes with the command: one after the other takes twice as long.
    for (const file of ["stowage.ts", "run.ts", "build/fetch.ts", "build/record_run.ts"]) {
      assert(loaded.has(`src/${file}`), file);
    }
    // Each of them takes time in every run. What only some runs need is imported by these.
    assert(loaded.size <= 170, `${loaded.size} files are loaded`);
  });

  it("runs Deno with the same flags wherever stowage is started", async () => {
    const starters = ["scripts/stowage", "scripts/release.sh", "scripts/bench/programs.ts"];
    const found = [...starters, "src/cli/commands/compile.ts"].map(async (file) => {
      const text = await Deno.readTextFile(`${ROOT}${file}`);
      return /--v8-flags=[\w=,-]+/.exec(text)?.[0] ?? `none in ${file}`;
    });
    assertEquals(new Set(await Promise.all(found)).size, 1);
  });

  it("asks kinds of sources, stages, inputs and destinations, and compares none", async () => {
    const compared = new RegExp([
      String.raw`\b(source|fallback|stage|input|destination)\.type\s*[!=]==`,
      String.raw`\((source|fallback|stage|input|destination)\.type\)`,
      String.raw`\btransport\)?\s*[!=]==\s*["'\x60]|\(([\w.]+\.)?transport\) \{\n\s*case`,
    ].join("|"));
    const wrong = await Promise.all([...files].map(async (file) => {
      const text = await Deno.readTextFile(`${ROOT}${file}`);
      return compared.test(text) ? [file] : [];
    }));
    assertEquals(wrong.flat(), []);
  });

  it("has no file that no entry leads to", async () => {
    const all = [...await listFiles("src"), ...await listFiles("config")];
    assertEquals(all.filter((file) => !files.has(file)), []);
  });
});
