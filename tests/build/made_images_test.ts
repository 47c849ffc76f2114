import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  containerLoader,
  copyTree,
  dockerArchive,
  exec,
  install,
  type MadeImage,
  ociArchive,
  output,
  tree,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { digestOf, skopeo } from "../support/mod.ts";
import { type Build, mustBuild, treeOf } from "./fixture.ts";

const NAME = "localhost/app:1";

const { dir, at } = await fixture({ files: { "files/motd": "hello\n" } });

const config = (last: string): Config => ({
  inputs: { files: tree("files"), app: output("app") },
  stages: {
    app: ociArchive({ inputs: ["files"], filename: "app.tar", name: NAME }),
    bare: ociArchive({ inputs: ["files"], filename: "bare.tar" }),
    base: copyTree({ inputs: ["files"] }),
    one: install({ inputs: ["app"], destination: { type: "oci", path: "/one" }, on: "base" }),
    two: dockerArchive({ inputs: ["app"], path: "/two", on: "one" }),
    three: containerLoader({ inputs: ["app"], engine: "podman", on: "two" }),
    last: exec({ command: ["touch", last], on: "three" }),
  },
});

const imagesOf = ({ stages }: Build) =>
  Object.fromEntries(stages.map(({ name, images }) => [name, images]));

describe("the images of stages", () => {
  it("are told by name, id and digest, also where a tree is there already", async () => {
    const first = await mustBuild(config("a"), at);
    const archive = `oci-archive:${join(treeOf(first, "app"), "app.tar")}`;
    const read = async (...what: string[]) =>
      await digestOf(new TextEncoder().encode(await skopeo("inspect", "--raw", ...what, archive)));
    const image = { id: await read("--config"), digest: await read() };
    const named: readonly MadeImage[] = [{ name: NAME, ...image }];
    const wanted = {
      app: named,
      bare: [image],
      ...{ base: undefined, one: named, two: named, three: named, last: undefined },
    };
    assertEquals(imagesOf(first), wanted);
    assertEquals(imagesOf(await mustBuild(config("a"), at)), wanted);
    // What was told of a tree is told of what continues it.
    const parts = { ...at, store: dir.join("parts") };
    await mustBuild(config("a"), { ...parts, names: ["three"] });
    for (const _ of ["runs", "is there"]) {
      assertEquals(imagesOf(await mustBuild(config("b"), parts)), wanted);
    }
  });
});
