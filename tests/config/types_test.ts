/**
 * What the compiler refuses: `deno check` fails if a line below is right after all, and
 * `compile()` must refuse each mistake as well, as JSON has no compiler.
 */
import { assert, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  containerLoader,
  containersStorage,
  copyTree,
  defineConfig,
  docker,
  dockerArchive,
  exec,
  fromDir,
  fromOci,
  images,
  install,
  ociArchive,
  output,
  reject,
  signedBy,
  tree,
} from "@stowage/stowage";

const sources = { proxy: docker("caddy:2"), agent: docker("quay.io/acme/agent:1") };
const inputs = { rootfs: tree("rootfs") };
const storage = { type: "containers-storage" } as const;
const command = ["true"] as const;

const RIGHT: Readonly<Record<string, Config>> = {
  "nothing": defineConfig({}),
  "all that there is": defineConfig({
    $schema: "https://example.org/schema.json",
    platform: "armhf",
    digests: "require",
    policy: { default: reject(), docker: { "quay.io/acme": signedBy("acme.gpg") } },
    registriesD: "registries.d",
    mirrors: { "docker.io": ["mirror.acme.io", { location: "m.acme.io/hub", tlsVerify: false }] },
    sources: {
      ...sources,
      literal: { type: "dir", path: "x" },
      several: docker("nginx", { platforms: ["linux/amd64", "armhf"], index: true, certDir: "c" }),
      stored: containersStorage("nginx", { location: "/srv", driver: "vfs" }),
      layout: fromOci("layout", { image: "app", fallback: [fromDir("x"), docker("nginx")] }),
    },
    inputs: {
      ...inputs,
      some: images({ proxy: "a" }),
      all: images({ proxy: "a", agent: ["b", "c"] }),
      list: images([{ source: "proxy" }, { source: "proxy", name: "a" }]),
      made: output("archive", { name: "app.tar" }),
      literal: { type: "output", stage: "archive" },
      made_tree: tree({ stage: "archive", exclude: ["*.log"] }),
    },
    stages: {
      archive: ociArchive({ inputs: ["rootfs"], filename: "app.tar", config: { Cmd: ["/x"] } }),
      os: install({ inputs: ["some", "made"], destination: storage }),
      units: containerLoader({ inputs: ["all"], engine: "podman", on: "os" }),
      last: exec({ command, on: "units" }),
      literal: { type: "copy-tree", inputs: ["rootfs"], on: "os", to: "/x" },
    },
  }),
};

/** Each is wrong in one place only, in the line below `@ts-expect-error`. */
const WRONG: Readonly<Record<string, () => Config>> = {
  "a source that is not there, by name": () =>
    // @ts-expect-error "proxi" is no source
    defineConfig({ sources, inputs: { apps: images({ proxi: "a" }) } }),
  "a source that is not there, beside one that is": () =>
    // @ts-expect-error "proxi" is no source
    defineConfig({ sources, inputs: { apps: images({ proxy: "a", proxi: "a" }) } }),
  "a source that is not there, in a list": () =>
    // @ts-expect-error "proxi" is no source
    defineConfig({ sources, inputs: { apps: images([{ source: "proxi" }]) } }),
  "a source that is not there, in a list beside one that is": () =>
    // @ts-expect-error "proxi" is no source
    defineConfig({ sources, inputs: { apps: images([{ source: "proxy" }, { source: "x" }]) } }),
  "a source where there are none": () =>
    // @ts-expect-error there are no sources
    defineConfig({ inputs: { apps: images({ proxy: "a" }) } }),
  "a source that is not there, as data": () =>
    // @ts-expect-error "proxi" is no source
    defineConfig({ sources, inputs: { apps: { type: "images", images: { proxi: "a" } } } }),
  "an unknown key in a list of images": () =>
    // @ts-expect-error "nam" is no key
    defineConfig({ sources, inputs: { apps: images([{ source: "proxy", nam: "a" }]) } }),
  "a stage that is not there, as input": () =>
    // @ts-expect-error "ap" is no stage
    defineConfig({ inputs: { made: output("ap") }, stages: { app: exec({ command }) } }),
  "a stage that is not there, as a tree": () =>
    // @ts-expect-error "ap" is no stage
    defineConfig({ inputs: { made: tree({ stage: "ap" }) }, stages: { app: exec({ command }) } }),
  "a stage where there are none": () =>
    // @ts-expect-error there are no stages
    defineConfig({ inputs: { made: output("app") } }),
  "a stage that is not there, to continue": () =>
    // @ts-expect-error "oss" is no stage
    defineConfig({ stages: { os: exec({ command }), next: exec({ command, on: "oss" }) } }),
  "an input that is not there": () =>
    // @ts-expect-error "rootf" is no input
    defineConfig({ inputs, stages: { os: copyTree({ inputs: ["rootf"] }) } }),
  "an input that is not there, beside one that is": () =>
    // @ts-expect-error "rootf" is no input
    defineConfig({ inputs, stages: { os: copyTree({ inputs: ["rootfs", "rootf"] }) } }),
  "an input that is not there, of a command": () =>
    // @ts-expect-error "rootf" is no input
    defineConfig({ inputs, stages: { os: exec({ inputs: ["rootf"], command }) } }),
  "an input that is not there, as data": () =>
    // @ts-expect-error "rootf" is no input
    defineConfig({ inputs, stages: { os: { type: "copy-tree", inputs: ["rootf"] } } }),
  "an unknown section": () =>
    // @ts-expect-error it is "sources"
    defineConfig({ source: sources }),
  "an unknown option of a source": () =>
    // @ts-expect-error the tag belongs into the reference
    defineConfig({ sources: { proxy: docker("caddy", { tag: "2" }) } }),
  "an option of another kind of source": () =>
    // @ts-expect-error a layout has no TLS
    defineConfig({ sources: { proxy: fromOci("layout", { tlsVerify: false }) } }),
  "a pin on a fallback": () =>
    defineConfig({
      // @ts-expect-error a fallback is pinned by its source
      sources: { a: docker("a", { fallback: [{ type: "dir", path: "x", id: "y" }] }) },
    }),
  "an unknown policy about digests": () =>
    // @ts-expect-error it is require, warn or ignore
    defineConfig({ digests: "must" }),
  "an unknown requirement": () =>
    // @ts-expect-error it is signedBy or sigstoreSigned
    defineConfig({ policy: { default: { type: "signed", keyPath: "key.gpg" } } }),
  "a requirement without its key": () =>
    // @ts-expect-error it needs a keyPath
    defineConfig({ policy: { default: { type: "signedBy" } } }),
  "an unknown option of a mirror": () =>
    // @ts-expect-error it is tlsVerify
    defineConfig({ mirrors: { "quay.io": [{ location: "m.acme.io", insecure: true }] } }),
  "platforms that are no list": () =>
    // @ts-expect-error one platform is "platform"
    defineConfig({ sources: { proxy: docker("caddy", { platforms: "armhf" }) } }),
  "an unknown kind of source": () =>
    // @ts-expect-error it is "docker"
    defineConfig({ sources: { proxy: { type: "dokker", reference: "caddy" } } }),
  "an unknown driver": () =>
    // @ts-expect-error only overlay and vfs can be read
    defineConfig({ sources: { proxy: containersStorage("caddy", { driver: "btrfs" }) } }),
  "an unknown driver of a destination": () =>
    defineConfig({
      inputs,
      // @ts-expect-error only overlay and vfs can be written
      stages: { os: install({ inputs: [], destination: { ...storage, driver: "btrfs" } }) },
    }),
  "a destination without its path": () =>
    // @ts-expect-error a layout needs a path
    defineConfig({ stages: { os: install({ inputs: [], destination: { type: "oci" } }) } }),
  "an unknown option of a stage": () =>
    defineConfig({
      sources,
      inputs: { apps: images({ proxy: "localhost/caddy" }) },
      // @ts-expect-error it is "into"
      stages: { os: install({ inputs: ["apps"], destination: storage, in: "x" }) },
    }),
  "an unknown key of an image's config": () =>
    defineConfig({
      inputs: { root: tree("root") },
      // @ts-expect-error it is "Cmd"
      stages: { a: ociArchive({ inputs: ["root"], filename: "a", config: { cmd: [] } }) },
    }),
  "an unknown compressor": () =>
    // @ts-expect-error it is gzip, zstd or none
    defineConfig({ stages: { a: dockerArchive({ inputs: [], compression: "xz" }) } }),
  "an unknown engine": () =>
    // @ts-expect-error it is podman or docker
    defineConfig({ stages: { a: containerLoader({ inputs: [], engine: "crio" }) } }),
  "a command that is text": () =>
    // @ts-expect-error no shell reads it
    defineConfig({ stages: { a: exec({ command: "rm -r x" }) } }),
  "an unknown option of an output": () =>
    // @ts-expect-error it is "name"
    defineConfig({ inputs: { a: output("a", { file: "x" }) }, stages: { a: exec({ command }) } }),
};

describe("defineConfig()", () => {
  for (const [what, config] of Object.entries(RIGHT)) {
    it(`takes ${what}`, () => assert(compile(config)));
  }

  for (const [what, config] of Object.entries(WRONG)) {
    it(`refuses ${what}`, () => {
      const error = assertThrows(() => compile(config()), ConfigError);
      assert(error.issues.length === 1, error.message);
    });
  }
});
