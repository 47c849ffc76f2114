import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  docker,
  type Graph,
  images,
  type ImageSource,
  type Lock,
  type LockedSource,
  type Source,
  type SourceNode,
} from "../../mod.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => `sha256:${digit.repeat(64)}`) as [
  string,
  string,
  string,
  string,
];
const AMD64 = "linux/amd64";
const image = { digest: A, id: B, mediaType: "m", size: 1 };
const index = { digest: C, mediaType: "i", size: 1 };
const entry: LockedSource = {
  reference: "docker://quay.io/web:1",
  tag: "1",
  index,
  platforms: { [AMD64]: image, "linux/arm/v7": { ...image, digest: D } },
};

function lockOf(sources: Lock["sources"]): Lock {
  return { schema: 1, sources };
}

function sourceOf(graph: Graph, name: string): SourceNode {
  const node = graph.nodes.get(`source/${name}`);
  assert(node?.kind === "source");
  return node;
}

const MISSING = "it is not in the lock";

/** The source "web" with a lock. */
function web(source: Source, lock: Lock = lockOf({ web: entry }), name = "web"): SourceNode {
  return sourceOf(compile({ sources: { [name]: source } }, { lock }), name);
}

/** What a lock pins of a source. */
const pinsOf = ({ digest, imageId, unlocked }: SourceNode) => [digest, imageId, unlocked];

describe("a platform that a lock does not have", () => {
  it("is of the index that is locked, and told as missing", () => {
    const node = web(docker("quay.io/web:1", { platform: "linux/s390x" }));
    assertEquals(pinsOf(node), [
      C,
      undefined,
      "the config has it for linux/s390x, and the lock for linux/amd64, linux/arm/v7",
    ]);
  });

  it("is asked for by tag where the lock has no index", () => {
    const { index: _, ...single } = entry;
    const source = docker("quay.io/web:1", { platform: "linux/s390x" });
    assertEquals(pinsOf(web(source, lockOf({ web: single })))[0], undefined);
  });
});

describe("compile() with a lock", () => {
  const pinned: readonly [what: string, source: Source][] = [
    ["a tag", docker("quay.io/web:1")],
    ["the digest of the image", docker("quay.io/web:1", { digest: A })],
    ["the digest of the index", docker("quay.io/web:1", { digest: C })],
    ["the image id", docker("quay.io/web:1", { id: B })],
    ["a platform", docker("quay.io/web:1", { platform: "amd64" })],
    ["a reference in other words", docker("docker://quay.io/web;tag=1")],
  ];
  for (const [what, source] of pinned) {
    it(`pins ${what}`, () => assertEquals(pinsOf(web(source)), [A, B, undefined]));
  }

  it("pins the index where that is kept", () => {
    const source = docker("quay.io/web:1", { index: true });
    assertEquals(pinsOf(web(source)), [C, B, undefined]);
  });

  it("pins each platform by its own image", () => {
    const source = docker("quay.io/web:1", { platforms: ["amd64", "armhf", "s390x"] });
    const graph = compile({ sources: { web: source } }, { lock: lockOf({ web: entry }) });
    assertEquals(
      [...graph.nodes.values()].map((node) =>
        node.kind === "source" && [node.name, ...pinsOf(node)]
      ),
      [
        ["web@linux/amd64", A, B, undefined],
        ["web@linux/arm/v7", D, B, undefined],
        [
          "web@linux/s390x",
          C,
          undefined,
          "the config has it for linux/s390x, and the lock for linux/amd64, linux/arm/v7",
        ],
      ],
    );
  });

  const { index: _, ...single } = entry;
  const unlocked: readonly [source: ImageSource, lock: Lock, reason: string][] = [
    [docker("quay.io/web:1"), lockOf({}), MISSING],
    [
      docker("quay.io/web:2"),
      lockOf({ web: entry }),
      "the config has docker://quay.io/web:2, and the lock docker://quay.io/web:1",
    ],
    [
      docker("quay.io/web:1", { platform: "linux/arm/v6" }),
      lockOf({ web: single }),
      "the config has it for linux/arm/v6, and the lock for linux/amd64, linux/arm/v7",
    ],
    [
      docker("quay.io/web:1", { digest: B }),
      lockOf({ web: entry }),
      `the config has digest ${B}, and the lock ${A}`,
    ],
    [
      docker("quay.io/web:1", { id: A }),
      lockOf({ web: entry }),
      `the config has id ${A}, and the lock ${B}`,
    ],
    [
      docker("quay.io/web:1", { index: true }),
      lockOf({ web: single }),
      "the config has index: true, and the lock no index of it",
    ],
  ];
  for (const [source, lock, reason] of unlocked) {
    it(`does not pin where ${reason}`, () => {
      const node = web(source, lock);
      assertEquals([node.digest, node.imageId, node.unlocked], [source.digest, source.id, reason]);
    });
  }

  it("has nothing to add to a digest and an id, and something to say against them", () => {
    const complete = { digest: C, id: D };
    for (const lock of [lockOf({}), lockOf({ other: entry })]) {
      assertEquals(pinsOf(web(docker("quay.io/web:1", complete), lock)), [C, D, undefined]);
    }
    assertEquals(pinsOf(web(docker("quay.io/web:1", complete))), [
      ...[C, D, `the config has id ${D}, and the lock ${B}`],
    ]);
    assertEquals(web(docker("quay.io/web:1", { digest: A }), lockOf({})).unlocked, MISSING);
    assertEquals(web(docker("quay.io/web:1", { id: B }), lockOf({})).unlocked, MISSING);
  });

  it("does not take for an entry what every object has", () => {
    for (const name of ["toString", "valueOf", "hasOwnProperty"]) {
      const source = docker("quay.io/web:1");
      assertEquals(web(source, lockOf({}), name).unlocked, MISSING);
      assertEquals(pinsOf(web(source, lockOf({ [name]: entry }), name)), [A, B, undefined]);
    }
  });

  it("gives ids that are those of the same pins in the config", () => {
    const ids = (source: Source, lock?: Lock) =>
      [
        ...compile({
          sources: { web: source },
          inputs: { apps: images({ web: "localhost/web:1" }) },
        }, lock ? { lock } : {}).nodes.values(),
      ].map(({ id }) => id);
    const source = docker("quay.io/web:1");
    const locked = ids(source, lockOf({ web: entry }));
    assertEquals(locked, ids({ ...source, digest: A, id: B }));
    assertNotEquals(locked, ids(source));
    assertEquals(ids(source, lockOf({})), ids(source));
    assertNotEquals(
      locked,
      ids(source, lockOf({ web: { ...entry, platforms: { [AMD64]: { ...image, digest: D } } } })),
    );
  });
});

describe("the names of images for several platforms", () => {
  it("have the platform behind the tag", () => {
    const { nodes } = compile({
      sources: {
        web: docker("quay.io/web:1", { platforms: ["arm64", "armhf", "windows/amd64"] }),
        one: docker("quay.io/one:1", { platforms: ["arm64"] }),
      },
      inputs: {
        apps: images([{ source: "web" }, { source: "web", name: "localhost/w" }, {
          source: "one",
        }]),
      },
    });
    const apps = nodes.get("input/apps");
    assert(apps?.kind === "input");
    assertEquals(apps.images.map(({ source, names }) => [source, ...names]), [
      ["source/one", "quay.io/one:1"],
      ["source/web@linux/arm/v7", "localhost/w:latest-arm-v7", "quay.io/web:1-arm-v7"],
      ["source/web@linux/arm64", "localhost/w:latest-arm64", "quay.io/web:1-arm64"],
      [
        "source/web@windows/amd64",
        "localhost/w:latest-windows-amd64",
        "quay.io/web:1-windows-amd64",
      ],
    ]);
    assertEquals(
      apps.needs,
      apps.images.map(({ source }) => source).sort((a, b) =>
        [...nodes.keys()].indexOf(a) - [...nodes.keys()].indexOf(b)
      ),
    );
  });
});
