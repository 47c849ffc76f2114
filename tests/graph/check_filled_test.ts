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
const parts = {
  sources: { web: docker("web:1"), other: docker("quay.io/other:1") },
  inputs: {
    web: images({ web: "acme.io/web:1" }),
    other: images({ other: "acme.io/web:1" }),
    far: images({ other: "acme.io/other:1" }),
    files: tree("files"),
    made: output("app", { as: "acme.io/web:1" }),
  },
};
const app = ociArchive({ inputs: ["files"], filename: "app.tar" });

function mistakes(stages: NonNullable<Config["stages"]>): [path: string, value: unknown][] {
  const config: Config = { ...parts, stages: { app, ...stages } };
  const { issues } = assertThrows(() => compile(config), ConfigError);
  return issues.map(({ path, value }) => [path, value]);
}

describe("stages of one tree", () => {
  it("are refused where one writes the file that another has written", () => {
    const { message } = assertThrows(() =>
      compile({
        ...parts,
        stages: {
          app,
          two: install({
            on: "app",
            inputs: ["web"],
            destination: { type: "oci-archive", path: "//app.tar" },
          }),
        },
      }), ConfigError);
    assertEquals(
      message.split("\n")[1],
      '  stages.two: expected another file than stages.app writes into the same tree, it is "/app.tar"',
    );
    const path = "/srv/";
    const file = "/srv/acme.io.web:1.zst";
    assertEquals(
      mistakes({
        one: dockerArchive({ inputs: ["web"], path }),
        between: copyTree({ on: "one", inputs: ["files"] }),
        two: dockerArchive({ on: "between", inputs: ["other"], path }),
        three: install({
          on: "two",
          inputs: ["far"],
          destination: { type: "docker-archive", path: file },
        }),
      }),
      [["stages.two", file], ["stages.three", file]],
    );
    assertEquals(
      mistakes({
        one: containerLoader({ inputs: ["web"], engine: "k3s" }),
        two: containerLoader({ on: "one", inputs: ["made"], engine: "k3s" }),
      }),
      [["stages.two", "/var/lib/rancher/k3s/agent/images/acme.io.web:1.tar.zst"]],
    );
  });

  it("are refused where one gives an image the name that another has given", () => {
    const place = "acme.io/web:1 in /var/lib/containers/storage";
    assertEquals(
      mistakes({
        one: install({ inputs: ["web"], destination: storage }),
        two: install({
          on: "one",
          inputs: ["other"],
          destination: { ...storage, path: "/var/lib/containers/storage/" },
        }),
      }),
      [["stages.two", place]],
    );
    const destination = { type: "oci", path: "/images" } as const;
    assertEquals(
      mistakes({
        one: install({ into: "rootfs", inputs: ["web"], destination }),
        two: install({ into: "./rootfs/", inputs: ["other"], destination }),
      }),
      [["stages.two", "acme.io/web:1 in /images"]],
    );
  });

  it("may do the same again, and what others do in trees of their own", () => {
    compile({
      ...parts,
      stages: {
        app,
        base: install({ inputs: ["web"], destination: storage }),
        again: install({ on: "base", inputs: ["web", "far"], destination: storage }),
        left: dockerArchive({ on: "base", inputs: ["web"] }),
        right: dockerArchive({ on: "base", inputs: ["other"] }),
        loader: containerLoader({ on: "left", inputs: ["web"], engine: "podman" }),
        loaders: containerLoader({ on: "loader", inputs: ["far"], engine: "podman" }),
        pushed: install({ inputs: ["web"], destination: { type: "docker" } }),
      },
    });
  });
});
