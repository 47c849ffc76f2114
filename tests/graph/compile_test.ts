import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  containersStorage,
  defineConfig,
  docker,
  exec,
  fromDir,
  type Graph,
  images,
  type InputNode,
  ociArchive,
  output,
  type Source,
  type SourceNode,
  type Stage,
  type StageNode,
  tree,
  UsageError,
} from "../../mod.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const ID = `sha256:${"b".repeat(64)}`;
const command = ["true"];

function sourceOf(graph: Graph, name: string): SourceNode {
  const node = graph.nodes.get(`source/${name}`);
  assert(node?.kind === "source");
  return node;
}

function inputOf(graph: Graph, name: string): InputNode {
  const node = graph.nodes.get(`input/${name}`);
  assert(node?.kind === "input");
  return node;
}

function stageOf(graph: Graph, name: string): StageNode {
  const node = graph.nodes.get(`stage/${name}`);
  assert(node?.kind === "stage");
  return node;
}

describe("compile()", () => {
  it("makes nothing of nothing", () => {
    assertEquals(compile({}).nodes.size, 0);
    assertEquals(compile({ sources: {}, inputs: {}, stages: {} }).nodes.size, 0);
  });

  it("puts each node behind those that it needs", () => {
    const graph = compile(defineConfig({
      stages: {
        last: exec({ command, on: "os", inputs: ["archive", "apps", "apps"] }),
        os: exec({ command, inputs: ["apps"] }),
        archive: ociArchive({ inputs: ["rootfs"], filename: "app.tar" }),
      },
      inputs: {
        archive: output("archive"),
        apps: images([{ source: "b" }, { source: "a" }, { source: "b", name: "x" }]),
        rootfs: tree("rootfs"),
      },
      sources: { a: docker("a"), b: docker("b") },
    }));
    assertEquals([...graph.nodes.values()].map(({ key, needs }) => [key, needs]), [
      ["source/a", []],
      ["source/b", []],
      ["input/rootfs", []],
      ["stage/archive", ["input/rootfs"]],
      ["input/archive", ["stage/archive"]],
      ["input/apps", ["source/b", "source/a"]],
      ["stage/os", ["input/apps"]],
      ["stage/last", ["input/archive", "input/apps", "stage/os"]],
    ]);
    const last = stageOf(graph, "last");
    assertEquals(last.inputs, ["input/archive", "input/apps", "input/apps"]);
    assertEquals(last.on, "stage/os");
  });

  it("takes parts of different kinds with one name", () => {
    const config = defineConfig({
      sources: { app: docker("app") },
      inputs: { app: images({ app: "localhost/app" }) },
      stages: { app: exec({ command, inputs: ["app"] }) },
    });
    assertEquals([...compile(config).nodes.keys()], ["source/app", "input/app", "stage/app"]);
  });

  it("reads all that a source says", () => {
    const graph = compile({
      sources: {
        web: docker(`nginx:1@${DIGEST}`, {
          id: ID,
          platform: "armhf",
          fallback: [containersStorage({ location: "[vfs@/srv]" }), fromDir("x")],
        }),
      },
    });
    const reference = { domain: "docker.io", path: "library/nginx", tag: "1", digest: DIGEST };
    const { id: _id, ...node } = sourceOf(graph, "web");
    assertEquals(node, {
      kind: "source",
      key: "source/web",
      name: "web",
      source: "web",
      needs: [],
      locations: [
        { transport: "docker", reference, tlsVerify: true },
        {
          transport: "containers-storage",
          reference,
          storage: { driver: "vfs", root: "/srv" },
        },
        { transport: "dir", path: "x" },
      ],
      digest: DIGEST,
      imageId: ID,
      platform: { os: "linux", architecture: "arm", variant: "v7" },
      platformIsGiven: true,
      keepsIndex: false,
      wantsAll: false,
      tag: "1",
      checksTag: true,
      isPinned: true,
    });
  });

  const platforms: readonly [
    what: string,
    given: { own?: string; config?: string; option?: string },
    architecture: string,
    isGiven: boolean,
  ][] = [
    ["its own", { own: "linux/s390x", config: "linux/arm64", option: "linux/386" }, "s390x", true],
    ["else the config's", { config: "linux/arm64", option: "linux/386" }, "arm64", true],
    ["else the caller's", { option: "linux/386" }, "386", false],
    ["else a common one", {}, "amd64", false],
  ];
  for (const [what, { own, config, option }, architecture, isGiven] of platforms) {
    it(`gives a source a platform: ${what}`, () => {
      const graph = compile(
        {
          ...(config && { platform: config }),
          sources: { a: docker("a", own ? { platform: own } : {}) },
        },
        option ? { platform: option } : {},
      );
      const node = sourceOf(graph, "a");
      assertEquals(node.platform, { os: "linux", architecture });
      assertEquals(node.platformIsGiven, isGiven);
    });
  }

  it("refuses a platform of the caller that it cannot read", () => {
    assertThrows(
      () => compile({}, { platform: "here" }),
      UsageError,
      'such as "linux/arm/v7", or a Debian name such as "armhf", it is "here"',
    );
  });

  it("does not touch the config", () => {
    const config = deepFreeze(defineConfig({
      sources: { a: docker("a", { fallback: [containersStorage()] }) },
      inputs: { i: images([{ source: "a", name: ["y", "x"] }]) },
      stages: { s: exec({ command, inputs: ["i"] }) },
    }));
    const text = JSON.stringify(config);
    compile(config);
    assertEquals(JSON.stringify(config), text);
  });
});

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

describe("the names of an image", () => {
  const names: readonly [
    what: string,
    source: Source,
    name: string | string[] | undefined,
    names: string[],
  ][] = [
    ["are those given", docker("a"), ["z/b", "localhost/a:2"], [
      "docker.io/z/b:latest",
      "localhost/a:2",
    ]],
    ["are its reference if none is given", docker("quay.io/a:1"), undefined, ["quay.io/a:1"]],
    ["are its reference with the default tag", docker("a"), undefined, [
      "docker.io/library/a:latest",
    ]],
    ["leave the digest out", docker(`a:1@${DIGEST}`), undefined, ["docker.io/library/a:1"]],
    ["leave the only digest out", docker(`a@${DIGEST}`), undefined, ["docker.io/library/a:latest"]],
    ["have a digest alone where that is given", docker("a:1"), [`b@${DIGEST}`, `c:2@${DIGEST}`], [
      `docker.io/library/b@${DIGEST}`,
      `docker.io/library/c:2@${DIGEST}`,
    ]],
    ["are those of its storage", containersStorage("a:1"), undefined, ["docker.io/library/a:1"]],
    ["may be one text", fromDir("a"), "a", ["docker.io/library/a:latest"]],
  ];
  for (const [what, source, name, expected] of names) {
    it(what, () => {
      const graph = compile({
        sources: { a: source },
        inputs: { i: images([{ source: "a", ...(name !== undefined && { name }) }]) },
      });
      assertEquals(inputOf(graph, "i").images, [{ source: "source/a", names: expected }]);
    });
  }

  it("are put together where a source stands more than once", () => {
    const graph = compile({
      sources: { a: docker("a:1"), b: docker("b:1") },
      inputs: {
        i: images([
          { source: "b" },
          { source: "a", name: "x/y:2" },
          { source: "a" },
          { source: "a", name: ["x/y:2", "x/y:3"] },
        ]),
      },
    });
    assertEquals(inputOf(graph, "i").images, [
      {
        source: "source/a",
        names: ["docker.io/library/a:1", "docker.io/x/y:2", "docker.io/x/y:3"],
      },
      { source: "source/b", names: ["docker.io/library/b:1"] },
    ]);
  });
});

describe("a result", () => {
  it("is a stage that no other continues, even if another reads its archive", () => {
    const graph = compile(defineConfig({
      inputs: { made: output("archive"), root: tree("root") },
      stages: {
        base: exec({ command }),
        left: exec({ command, on: "base" }),
        right: exec({ command, on: "base", inputs: ["made"] }),
        archive: ociArchive({ inputs: ["root"], filename: "a.tar" }),
      },
    }));
    const stages = ["base", "left", "right", "archive"];
    assertEquals(stages.filter((name) => stageOf(graph, name).isResult), [
      "left",
      "right",
      "archive",
    ]);
  });
});

describe("a large config", () => {
  it("may have 10,000 stages, each on the one declared behind it", () => {
    const stages: Record<string, Stage> = {};
    for (let index = 0; index < 10_000; index++) {
      stages[`s${index}`] = {
        type: "exec",
        command,
        ...(index < 9_999 && { on: `s${index + 1}` }),
      };
    }
    const nodes = [...compile({ stages }).nodes.values()];
    assertEquals(nodes.map(({ name }) => name), Object.keys(stages).reverse());
    assertEquals(new Set(nodes.map(({ id }) => id)).size, 10_000);
  });

  it("may have a circle of 10,000 stages", () => {
    const stages: Record<string, Stage> = {};
    for (let index = 0; index < 10_000; index++) {
      stages[`s${index}`] = { type: "exec", command, on: `s${(index + 1) % 10_000}` };
    }
    const error = assertThrows(() => compile({ stages }));
    assert(error instanceof Error);
    assert(error.message.includes("in a circle"));
  });

  it("may have 5,000 sources in one input, each fetched on its own", () => {
    const sources: Record<string, Source> = {};
    for (let index = 0; index < 5_000; index++) sources[`s${index}`] = docker(`app:${index}`);
    const list = Object.keys(sources).map((source) => ({ source }));
    const config: Config = { sources, inputs: { all: images(list) } };
    const graph = compile(config);
    assertEquals(graph.nodes.size, 5_001);
    assertEquals(inputOf(graph, "all").images.length, 5_000);
  });
});
