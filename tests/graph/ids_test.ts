import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../support/fast_check.ts";
import {
  type ArchiveImage,
  compile,
  type Config,
  containersStorage,
  type DaemonImage,
  docker,
  type DockerImage,
  fromDir,
  images,
  install,
  type Source,
  type SourceOptions,
  type StageOf,
  type StageOptionsByType,
  type StorageImage,
  tree,
} from "../../mod.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const ID = `sha256:${"b".repeat(64)}`;

const pins = { index: true, digest: DIGEST, id: ID, platform: "linux/arm/v6" };
const common = { inputs: ["apps", "more"], on: "base" };
const archive = { compression: "gzip", level: 5 } as const;
const destination = { type: "containers-storage", path: "/storage", driver: "vfs" } as const;

/** What a source can have; it has one platform or several, and an id only with one. */
type All<Options> = Required<Omit<SourceOptions & Options, "platforms">>;

/** Stages with all that they can have: the compiler misses an option that is new. */
const stages:
  & {
    readonly [
      Type in Exclude<
        keyof StageOptionsByType,
        "install" | "container-loader" | "storage-conf" | "quadlet"
      >
    ]: Required<
      StageOf<Type>
    >;
  }
  & {
    readonly "storage-conf": Required<Omit<StageOf<"storage-conf">, "inputs">>;
    readonly quadlet: Required<Omit<StageOf<"quadlet">, "inputs">>;
    readonly "container-loader": Required<Omit<StageOf<"container-loader">, "namespace">>;
    readonly install: Required<Omit<StageOf<"install">, "into">>;
    readonly into: Required<Omit<StageOf<"install">, "on">>;
  } = {
    "install": {
      ...common,
      type: "install",
      destination,
      removeSignatures: true,
      additionalImageStore: true,
    },
    "into": {
      inputs: common.inputs,
      type: "install",
      destination,
      into: "tree",
      removeSignatures: true,
      additionalImageStore: true,
    },
    "oci-archive": {
      ...common,
      ...archive,
      inputs: ["rootfs", "other"],
      type: "oci-archive",
      filename: "app.tar",
      platform: "linux/arm/v6",
      name: "localhost/app:1",
      config: {
        Cmd: ["/bin/app"],
        Entrypoint: ["/bin/init"],
        Env: ["A=b"],
        ExposedPorts: ["80/tcp"],
        User: "nobody",
        Labels: { b: "c", a: "b" },
        StopSignal: "SIGINT",
        Volumes: ["/data"],
        WorkingDir: "/work",
      },
      annotations: { b: "c", a: "b" },
      whiteouts: true,
    },
    "docker-archive": { ...common, ...archive, type: "docker-archive", path: "/images" },
    "container-loader": {
      ...common,
      ...archive,
      type: "container-loader",
      engine: "podman",
      deleteAfterLoad: true,
      removeReplaced: true,
    },
    "copy-tree": { ...common, inputs: ["rootfs", "other"], type: "copy-tree", to: "/usr" },
    "unpack": {
      ...common,
      inputs: ["one"],
      type: "unpack",
      to: "/srv",
      exclude: ["etc"],
      removeSignatures: true,
    },
    "storage-conf": {
      type: "storage-conf",
      on: "base",
      path: "/etc/storage.conf",
      storage: {
        driver: "vfs",
        graphroot: "/g",
        runroot: "/r",
        imagestore: "/i",
        rootless_storage_path: "$HOME/c",
        transient_store: true,
        options: { additionalimagestores: ["/a"], overlay: { mountopt: "nodev" } },
      },
    },
    "quadlet": {
      type: "quadlet",
      on: "base",
      to: "/etc/containers/systemd/users",
      bound: [], // what it names has to be there
      units: {
        "app.container": {
          Container: {
            Image: "app",
            Environment: { B: "c", A: "b" },
            ReadOnly: true,
            DNS: ["a", 1],
          },
          Install: { WantedBy: "a" },
        },
      },
    },
    "exec": {
      ...common,
      inputs: ["rootfs", "made"],
      type: "exec",
      command: ["true", "x"],
      env: { B: "c", A: "b" },
      network: true,
    },
  };

const sources: {
  readonly docker: All<DockerImage>;
  readonly storage: All<StorageImage>;
  readonly daemon: All<DaemonImage>;
  readonly archive: All<ArchiveImage>;
  readonly several: Required<Omit<DockerImage & SourceOptions, "platform" | "id">>;
} = {
  docker: {
    ...pins,
    type: "docker",
    reference: "quay.io/acme/app:1",
    tlsVerify: true,
    authFile: "a",
    certDir: "c",
    fallback: [],
  },
  several: {
    type: "docker",
    reference: "quay.io/acme/several:1",
    tlsVerify: true,
    authFile: "a",
    certDir: "c",
    fallback: [],
    index: true,
    digest: DIGEST,
    platforms: ["linux/arm/v6"],
  },
  storage: {
    ...pins,
    type: "containers-storage",
    reference: "a:1",
    location: "/srv",
    driver: "vfs",
    fallback: [],
  },
  daemon: {
    ...pins,
    type: "docker-daemon",
    reference: "a:1",
    daemonHost: "http://a:1",
    tlsVerify: true,
    certDir: "c",
    fallback: [],
  },
  archive: { ...pins, type: "oci-archive", path: "a.tar", image: "app", fallback: [] },
};

const everything: Config = {
  sources: { ...sources, other: docker("other"), loose: docker("loose") },
  inputs: {
    more: images([{ source: "docker", name: "localhost/m:1" }]),
    apps: images({ docker: ["localhost/a:1", "localhost/b:1"], storage: "localhost/c:1" }),
    one: images({ docker: "localhost/one:1" }),
    two: images({ docker: "localhost/two:1" }),
    rootfs: tree("rootfs"),
    made: { type: "output", stage: "base", name: "app.tar" },
    other: tree("other"),
  },
  stages: {
    base: { type: "exec", command: ["base"] },
    another: { type: "exec", command: ["another"] },
    to_registry: install({
      inputs: ["apps"],
      destination: { type: "docker", tlsVerify: true, authFile: "a" },
    }),
    ...stages,
  },
};

/** Plain data, as JSON has it. */
type Data = null | boolean | number | string | readonly Data[] | { readonly [key: string]: Data };

function toData(value: unknown): Data {
  return JSON.parse(JSON.stringify(value));
}

/** The paths of all that is in plain data. */
function* pathsOf(data: Data, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length > 0) yield path;
  if (typeof data !== "object" || data === null) return;
  for (const [key, value] of Object.entries(data)) yield* pathsOf(value, [...path, key]);
}

/** The same data with another value at a path, or without it. */
function change(
  data: Data,
  [key = "", ...rest]: readonly string[],
  to: (old: Data) => Data | undefined,
): Data {
  if (typeof data !== "object" || data === null) throw new TypeError(`Cannot change "${key}"`);
  const entries = Object.entries(data).flatMap(([name, value]): [string, Data][] => {
    if (name !== key) return [[name, value]];
    const changed = rest.length > 0 ? change(value, rest, to) : to(value);
    return changed === undefined ? [] : [[name, changed]];
  });
  return Array.isArray(data) ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}

/** Another value that is right in the same place. */
const OTHER: Readonly<Record<string, string>> = {
  [DIGEST]: ID,
  [ID]: DIGEST,
  SIGINT: "SIGTERM",
  apps: "more",
  base: "another",
  docker: "other",
  gzip: "zstd",
  made: "other",
  more: "apps",
  one: "two",
  other: "rootfs",
  podman: "docker",
  rootfs: "other",
  storage: "other",
  vfs: "overlay",
};

function otherThan(value: Data): Data {
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") return value - 1;
  if (typeof value === "string") return OTHER[value] ?? `${value}x`;
  throw new TypeError(`Cannot think of another value than ${JSON.stringify(value)}`);
}

function idOf(config: unknown, key: string): string | undefined {
  return compile(config as Config).nodes.get(key)?.id;
}

function idsOf(config: unknown, platform = "linux/amd64"): Record<string, string> {
  const nodes = [...compile(config as Config, { platform }).nodes.values()];
  return Object.fromEntries(nodes.map(({ key, id }) => [key, id]).sort());
}

/** How a pinned source is reached; it cannot change what arrives. */
const ACCESS = ["tlsVerify", "authFile", "certDir", "fallback"];

describe("the id of a node", () => {
  const parts = toData(everything) as { [section: string]: { [name: string]: Data } };
  for (const [section, entries] of Object.entries(parts)) {
    for (const [name, entry] of Object.entries(entries)) {
      const key = `${section.slice(0, -1)}/${name}`;
      for (const path of pathsOf(entry)) {
        const whole = [section, name, ...path];
        const value = path.reduce<Data>(
          (data, step) => (data as { [key: string]: Data })[step] ?? null,
          entry,
        );
        if (path.at(-1) === "type" || (typeof value === "object" && section !== "sources")) {
          continue;
        }
        const counts = !(section === "sources" && ACCESS.includes(path[0] ?? ""));
        const compare = counts ? assertNotEquals : assertEquals;
        if (typeof value !== "object") {
          it(`${counts ? "changes" : "stays"} with another ${whole.join(".")}`, () => {
            compare(idOf(change(parts, whole, otherThan), key), idOf(parts, key));
          });
        }
        const less = change(parts, whole, () => undefined);
        if (!compiles(less)) continue;
        it(`${counts ? "changes" : "stays"} without ${whole.join(".")}`, () => {
          compare(idOf(less, key), idOf(parts, key));
        });
      }
    }
  }

  it("changes with what it needs, however far away", () => {
    const before = idsOf(everything);
    const after = idsOf(change(parts, ["stages", "base", "command", "0"], otherThan));
    const same = Object.keys(before).filter((key) => before[key] === after[key]);
    assertEquals(same, [
      "input/apps",
      "input/more",
      "input/one",
      "input/other",
      "input/rootfs",
      "input/two",
      "source/archive",
      "source/daemon",
      "source/docker",
      "source/loose",
      "source/other",
      "source/several",
      "source/storage",
      "stage/another",
      "stage/into",
      "stage/to_registry",
    ]);
  });

  it("changes with the order of inputs, but not of an image's names", () => {
    const swapped = change(parts, ["stages", "copy-tree", "inputs"], () => ["other", "rootfs"]);
    assertNotEquals(idOf(swapped, "stage/copy-tree"), idOf(parts, "stage/copy-tree"));
    const names = ["localhost/b:1", "localhost/a:1", "localhost/a:1"];
    const renamed = change(parts, ["inputs", "apps", "images", "docker"], () => names);
    assertEquals(idsOf(renamed), idsOf(parts));
  });

  it("is that of the platform, however it is written", () => {
    const debian = (name: string): Config => ({
      platform: name,
      sources: { web: docker("nginx"), own: docker("nginx", { platform: name }) },
      inputs: { root: tree("root") },
      stages: { a: { type: "oci-archive", inputs: ["root"], filename: "a", platform: name } },
    });
    assertEquals(idsOf(debian("armhf")), idsOf(debian("linux/arm")));
    assertEquals(idsOf(debian("arm64")), idsOf(debian("linux/arm64/v8")));
    assertNotEquals(idOf(debian("armhf"), "stage/a"), idOf(debian("armel"), "stage/a"));
  });

  it("changes with this machine's platform where the config leaves it open", () => {
    const before = idsOf(everything);
    const after = idsOf(everything, "linux/riscv64");
    const changed = Object.keys(before).filter((key) => before[key] !== after[key]);
    assertEquals(changed, ["source/loose", "source/other"]);
    const open: Config = {
      inputs: { root: tree("root") },
      stages: { a: { type: "oci-archive", inputs: ["root"], filename: "a" } },
    };
    assertNotEquals(idsOf(open), idsOf(open, "linux/riscv64"));
  });

  it("is that of the reference, however it is written", () => {
    const source = (reference: string) => idsOf({ sources: { a: docker(reference) } });
    assertEquals(source("nginx"), source("docker.io/library/nginx:latest"));
    assertEquals(source("quay.io/a:1"), source("docker://quay.io/a;tag=1"));
    assertNotEquals(source("nginx"), source("nginx:1"));
  });

  const elsewhere = [fromDir("elsewhere"), containersStorage()];
  const fallbacks: readonly [what: string, source: Source, counts: boolean][] = [
    ["a digest", docker("nginx", { digest: DIGEST }), false],
    ["a digest in its reference", docker(`nginx@${DIGEST}`), false],
    ["an image id", docker("nginx", { id: ID }), false],
    ["no pin", docker("nginx"), true],
  ];
  for (const [what, source, counts] of fallbacks) {
    it(`${counts ? "changes" : "stays"} with the fallbacks of a source with ${what}`, () => {
      const compare = counts ? assertNotEquals : assertEquals;
      compare(
        idsOf({ sources: { a: { ...source, fallback: elsewhere } } }),
        idsOf({ sources: { a: source } }),
      );
    });
  }

  it("tells drivers of this machine's own storage apart", () => {
    const source = (driver: "overlay" | "vfs") =>
      idsOf({ sources: { a: containersStorage("nginx", { driver }) } });
    assertNotEquals(source("vfs"), source("overlay"));
  });
});

function compiles(config: Data): boolean {
  try {
    compile(config as Config);
    return true;
  } catch {
    return false;
  }
}

describe("the ids of a config", () => {
  it("are 64 hex digits, and differ", () => {
    const ids = Object.values(idsOf(everything));
    for (const id of ids) assert(/^[0-9a-f]{64}$/.test(id), id);
    assertEquals(new Set(ids).size, ids.length);
  });

  it("stay with JSON, with or without spaces, with or without a schema", () => {
    const schema = { $schema: "https://example.org/schema.json", ...everything };
    assertEquals(idsOf(JSON.parse(JSON.stringify(everything))), idsOf(everything));
    assertEquals(idsOf(JSON.parse(JSON.stringify(schema, undefined, 4))), idsOf(everything));
  });

  it("stay with the order of keys", () => {
    const data = toData(everything);
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1 }), (seeds) => {
        assertEquals(idsOf(shuffle(data, seeds)), idsOf(everything));
      }),
      { numRuns: 30 },
    );
  });

  it("stay with the names of parts", () => {
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,9}$/)
      .filter((name) => !["constructor", "prototype"].includes(name));
    const names = fc.uniqueArray(name, { minLength: 5, maxLength: 5 });
    const idsUnder = ([a = "", b = "", i = "", s = "", t = ""]: readonly string[]) =>
      Object.values(idsOf({
        sources: { [a]: docker("a"), [b]: docker("b") },
        inputs: { [i]: images({ [a]: "localhost/a", [b]: "localhost/b" }) },
        stages: {
          [s]: { type: "exec", command: ["true"], inputs: [i] },
          [t]: { type: "exec", command: ["true"], on: s },
        },
      })).sort();
    const expected = idsUnder(["a", "b", "c", "d", "e"]);
    fc.assert(fc.property(names, (names) => assertEquals(idsUnder(names), expected)));
  });
});

/** The same data with its keys in another order. */
function shuffle(data: Data, seeds: readonly number[]): Data {
  if (typeof data !== "object" || data === null) return data;
  if (Array.isArray(data)) return data.map((item) => shuffle(item, seeds));
  const entries = Object.entries(data).map(([key, value], index) => ({
    entry: [key, shuffle(value, seeds)] as const,
    rank: seeds[index % seeds.length] ?? 0,
  }));
  return Object.fromEntries(
    entries.toReversed().sort((a, b) => a.rank - b.rank).map(({ entry }) => entry),
  );
}
