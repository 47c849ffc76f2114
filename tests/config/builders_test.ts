import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  containerLoader,
  containersStorage,
  copyTree,
  defineConfig,
  docker,
  dockerArchive,
  dockerDaemon,
  exec,
  fromDir,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
  images,
  install,
  ociArchive,
  output,
  tree,
} from "../../mod.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const inputs = ["i"];

/** What a builder returns, and the same as JSON has it. */
const BUILT: readonly [built: unknown, data: unknown][] = [
  [docker("a"), { type: "docker", reference: "a" }],
  [docker("a", { digest: DIGEST, tlsVerify: false }), {
    type: "docker",
    reference: "a",
    digest: DIGEST,
    tlsVerify: false,
  }],
  [containersStorage("a", { driver: "vfs" }), {
    type: "containers-storage",
    reference: "a",
    driver: "vfs",
  }],
  [containersStorage(), { type: "containers-storage" }],
  [containersStorage({ location: "/a" }), { type: "containers-storage", location: "/a" }],
  [dockerDaemon("a", { id: DIGEST }), { type: "docker-daemon", reference: "a", id: DIGEST }],
  [dockerDaemon({ certDir: "a" }), { type: "docker-daemon", certDir: "a" }],
  [fromDir("a"), { type: "dir", path: "a" }],
  [fromOci("a", { image: "b" }), { type: "oci", path: "a", image: "b" }],
  [fromOciArchive("a"), { type: "oci-archive", path: "a" }],
  [fromDockerArchive("a"), { type: "docker-archive", path: "a" }],
  [images({ a: "b" }), { type: "images", images: { a: "b" } }],
  [images([{ source: "a" }]), { type: "images", images: [{ source: "a" }] }],
  [output("a"), { type: "output", stage: "a" }],
  [output("a", { name: "b" }), { type: "output", stage: "a", name: "b" }],
  [tree("a"), { type: "tree", path: "a" }],
  [install({ inputs, destination: { type: "docker" } }), {
    type: "install",
    inputs,
    destination: { type: "docker" },
  }],
  [ociArchive({ inputs, filename: "a", on: "b" }), {
    type: "oci-archive",
    inputs,
    filename: "a",
    on: "b",
  }],
  [dockerArchive({ inputs }), { type: "docker-archive", inputs }],
  [containerLoader({ inputs, engine: "docker" }), {
    type: "container-loader",
    inputs,
    engine: "docker",
  }],
  [copyTree({ inputs }), { type: "copy-tree", inputs }],
  [exec({ command: ["a"] }), { type: "exec", command: ["a"] }],
];

describe("builders", () => {
  for (const [built, data] of BUILT) {
    const text = JSON.stringify(data);
    it(`return plain data: ${text}`, () => {
      assertEquals(built, data);
      assertEquals(JSON.parse(JSON.stringify(built)), built);
    });
  }

  it("write what JSON may say as well", () => {
    const config = defineConfig({
      sources: {
        proxy: docker("caddy:2", { platform: "arm64", fallback: [containersStorage()] }),
        agent: fromOciArchive("agent.tar", { id: DIGEST }),
      },
      inputs: { apps: images({ proxy: "localhost/caddy", agent: ["a", "b"] }), root: tree("r") },
      stages: {
        base: copyTree({ inputs: ["root"] }),
        os: install({
          inputs: ["apps"],
          on: "base",
          destination: { type: "containers-storage" },
        }),
      },
    });
    assertEquals(compile(JSON.parse(JSON.stringify(config))), compile(config));
  });
});
