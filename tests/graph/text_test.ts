import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, type Config, ConfigError, type ConfigIssue } from "../../mod.ts";

const TEXT = "a text that is Unicode";

const web = { type: "docker", reference: "nginx" };
const exec = { type: "exec", command: ["true"] };

/** A config with one mistake, and that mistake. */
const MISTAKES: readonly [config: unknown, issue: ConfigIssue][] = [
  [{ stages: { a: { ...exec, env: { A: "\ud800" } } } }, {
    path: "stages.a.env.A",
    value: "\ud800",
    expected: TEXT,
  }],
  [{ sources: { a: { type: "dir", path: `/${"ü".repeat(128)}/x` } } }, {
    path: "sources.a.path",
    value: `/${"ü".repeat(128)}/x`,
    expected: "a path of names of at most 255 bytes",
  }],
  [
    {
      sources: {
        a: { ...web, reference: `a:${"t".repeat(123)}`, platforms: ["linux/386", "linux/arm64"] },
      },
      inputs: { b: { type: "images", images: [{ source: "a" }] } },
    },
    {
      path: "inputs.b.images.0.source",
      value: "t".repeat(123),
      expected: "a tag of at most 122 characters, as the platform is put behind it",
    },
  ],
  [
    {
      sources: { a: { ...web, platforms: ["linux/386", "linux/arm64"] } },
      inputs: { b: { type: "images", images: { a: "No Name" } } },
    },
    {
      path: "inputs.b.images.a",
      value: "No Name",
      expected: "[host[:port]/]path[:tag]",
    },
  ],
  [{ sources: { a: 1n } }, { path: "sources.a", value: "1n", expected: "Object" }],
];

describe("text that no program, file or registry can be given", () => {
  for (const [config, issue] of MISTAKES) {
    it(`is told at "${issue.path}": ${issue.expected}`, () => {
      const error = assertThrows(() => compile(config as Config), ConfigError);
      assertEquals(error.issues, [issue]);
      assertEquals(JSON.parse(JSON.stringify(error)).issues, [issue]);
    });
  }

  it("is no tag that has just the room", () => {
    const source = { ...web, reference: `a:${"t".repeat(122)}` };
    const platforms = ["linux/386", "linux/arm64"];
    const inputs = { b: { type: "images", images: [{ source: "a" }] } };
    const { nodes } = compile({ sources: { a: { ...source, platforms } }, inputs } as Config);
    const node = nodes.get("input/b");
    const names = node?.kind === "input" ? node.images.flatMap((image) => image.names) : [];
    assertEquals(names.map((name) => name.split(":").at(-1)?.length), [126, 128]);
  });
});
