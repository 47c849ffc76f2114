import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, ConfigError, type ConfigIssue, docker, type Stage, tree } from "../../mod.ts";

const storage = { type: "containers-storage" } as const;
const IMAGES = "an input made by images() or output() or hostImage(), as";
const TREES = "an input made by artifacts() or tree(), as";

/** Compiles stages over an input of each kind. */
function compileStages(stages: Readonly<Record<string, Stage>>): void {
  compile({
    sources: { app: docker("app") },
    inputs: {
      images: { type: "images", images: { app: "localhost/app" } },
      output: { type: "output", stage: "made" },
      tree: { type: "tree", path: "tree" },
    },
    stages: { made: { type: "exec", command: ["true"] }, ...stages },
  });
}

const install = { type: "install", inputs: ["images"], destination: storage } as const;

const WRONG: readonly [stage: Stage, issue: ConfigIssue][] = [
  [{ ...install, inputs: ["tree"] }, {
    path: "stages.s.inputs.0",
    value: "tree",
    expected: `${IMAGES} install reads images`,
  }],
  [{ type: "docker-archive", inputs: ["images", "tree"] }, {
    path: "stages.s.inputs.1",
    value: "tree",
    expected: `${IMAGES} docker-archive reads images`,
  }],
  [{ type: "container-loader", engine: "podman", inputs: ["tree"] }, {
    path: "stages.s.inputs.0",
    value: "tree",
    expected: `${IMAGES} container-loader reads images`,
  }],
  [{ type: "oci-archive", filename: "a", inputs: ["output"] }, {
    path: "stages.s.inputs.0",
    value: "output",
    expected: `${TREES} oci-archive reads trees`,
  }],
  [{ type: "copy-tree", inputs: ["tree", "images"] }, {
    path: "stages.s.inputs.1",
    value: "images",
    expected: `${TREES} copy-tree reads trees`,
  }],
  [{ type: "copy-tree", inputs: [] }, {
    path: "stages.s.inputs",
    value: [],
    expected: "at least one input",
  }],
  [{ ...install, on: "made", into: "tree" }, {
    path: "stages.s.into",
    value: "tree",
    expected: "no other tree beside `on`",
  }],
  [{ ...install, additionalImageStore: true }, {
    path: "stages.s.additionalImageStore",
    value: true,
    expected:
      'a destination of type containers-storage with a path of its own, such as "/usr/share/containers/storage"',
  }],
];

describe("checkStages()", () => {
  for (const [s, issue] of WRONG) {
    it(`refuses ${JSON.stringify(s)}`, () => {
      assertEquals(assertThrows(() => compileStages({ s }), ConfigError).issues, [issue]);
    });
  }

  it("refuses inputs that exec would see under one name", () => {
    const names = ["a-b", "a_b", "a-b", "A.B"];
    const inputs = Object.fromEntries(names.map((name) => [name, tree("files")]));
    const os: Stage = { type: "exec", command: ["true"], inputs: names };
    const { issues } = assertThrows(() => compile({ inputs, stages: { os } }), ConfigError);
    const expected = 'another name than that of "a-b", as both would be STOWAGE_INPUT_A_B';
    assertEquals(issues, [
      { path: "stages.os.inputs.1", value: "a_b", expected },
      { path: "stages.os.inputs.3", value: "A.B", expected },
    ]);
  });

  it("refuses to continue what is installed into another's tree", () => {
    const into: Stage = { ...install, into: "tree" };
    const next: Stage = { type: "exec", command: ["true"], on: "into" };
    const { issues } = assertThrows(() => compileStages({ into, next }), ConfigError);
    assertEquals(issues, [{
      path: "stages.next.on",
      value: "into",
      expected: 'a stage with a tree of its own, and "into" installs into another\'s',
    }]);
  });

  const right: readonly Stage[] = [
    { ...install, inputs: ["images", "output"], on: "made" },
    { ...install, into: "tree" },
    { ...install, destination: { ...storage, path: "/x" }, additionalImageStore: true },
    { type: "exec", command: ["true"], inputs: ["images", "output", "tree"] },
    { type: "exec", command: ["true"], inputs: [] },
  ];
  for (const s of right) {
    it(`takes ${JSON.stringify(s)}`, () => compileStages({ s }));
  }
});
