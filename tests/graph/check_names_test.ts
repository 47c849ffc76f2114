import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  containerLoader,
  copyTree,
  docker,
  dockerArchive,
  images,
  install,
  ociArchive,
  output,
  tree,
} from "../../mod.ts";

const storage = { type: "containers-storage" } as const;
const ID = `sha256:${"1".repeat(64)}`;

function mistakes(config: Config): [path: string, value: unknown, expected: string][] {
  const { issues } = assertThrows(() => compile(config), ConfigError);
  return issues.map(({ path, value, expected }) => [path, value, expected]);
}

describe("names of images", () => {
  it("are refused where two sources would have one, in one input or in two", () => {
    const sources = { web: docker("web:1"), other: docker("quay.io/other") };
    const expected = 'another name for sources.web than "docker.io/library/web:1", ' +
      "which is that of sources.other as well";
    const one = { both: images({ other: "web:1", web: "web:1" }) };
    assertEquals(
      mistakes({ sources, inputs: one, stages: { os: dockerArchive({ inputs: ["both"] }) } }),
      [["stages.os.inputs.0", "both", expected]],
    );
    const two = { other: images({ other: "web:1" }), web: images([{ source: "web" }]) };
    const inputs = ["other", "web"] as const;
    assertEquals(
      mistakes({
        sources,
        inputs: two,
        stages: { os: install({ inputs, destination: storage }), ar: dockerArchive({ inputs }) },
      }),
      [["stages.os.inputs.1", "web", expected], ["stages.ar.inputs.1", "web", expected]],
    );
  });

  it("are refused with a digest where a loader would lose it", () => {
    const name = `localhost/web@sha256:${"a".repeat(64)}`;
    const stages = {
      loader: containerLoader({ inputs: ["web"], engine: "docker" }),
      podman: containerLoader({ inputs: ["web"], engine: "podman" }),
      archives: dockerArchive({ inputs: ["web"] }),
    };
    const expected = "names without a digest: docker does not find what it loads by it";
    assertEquals(
      mistakes({
        sources: { web: docker("web:1") },
        inputs: { web: images({ web: name }) },
        stages,
      }),
      [["stages.loader.inputs", name, expected]],
    );
  });

  it("are refused where two platforms, or a source and a stage, would have one", () => {
    const inputs = {
      both: images([{ source: "amd" }, { source: "arm" }]),
      files: tree("files"),
      made: output("app", { as: "web:1" }),
    };
    const config: Config = {
      sources: {
        amd: docker("web:1", { platform: "amd64" }),
        arm: docker("web:1", { platform: "arm64" }),
      },
      inputs,
      stages: {
        app: ociArchive({ inputs: ["files"], filename: "app.tar" }),
        os: install({ inputs: ["both", "made"], destination: storage }),
      },
    };
    assertEquals(mistakes(config).map(([path]) => path), [
      ...["stages.os.inputs.0", "stages.os.inputs.1"],
    ]);
  });

  it("may be one for one image, and for images that do not meet", () => {
    const sources = { a: docker("web:1", { id: ID }), b: docker("web:1", { id: ID }) };
    const inputs = {
      a: images([{ source: "a" }]),
      b: images([{ source: "b" }, { source: "a" }]),
      files: tree("files"),
    };
    compile({
      sources,
      inputs,
      stages: { os: install({ inputs: ["a", "b"], destination: storage }) },
    });
    compile({
      sources: { a: docker("web:1"), b: docker("web:1") },
      inputs: { a: images([{ source: "a" }]), b: images([{ source: "b" }]), files: tree("files") },
      stages: {
        one: install({ inputs: ["a"], destination: storage }),
        two: install({ inputs: ["b"], destination: storage }),
        os: copyTree({ inputs: ["files", "files"] }),
      },
    });
  });
});
