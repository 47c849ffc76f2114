import { type Config, copyTree, docker, dockerArchive, exec, images } from "@stowage/stowage";
import { install, ociArchive, output, tree } from "@stowage/stowage";
import {
  busyboxLayer,
  fileLayer,
  type Layer,
  type PushedImage,
  pushImage,
  pushIndex,
  randomLayer,
  type Registry,
  startRegistry,
  type TempDir,
} from "../support/mod.ts";

/** Names of the sources of {@linkcode configFor}. */
export const SOURCES = ["web", "tool", "agent", "twin"] as const;

/** A registry with images that share layers. */
export interface World extends AsyncDisposable {
  readonly registry: Registry;
  /** All images, those of an index too. */
  readonly images: readonly PushedImage[];
  /** Each layer of theirs, once. */
  readonly layers: readonly Layer[];
}

/** Starts a registry, and puts images into it: of both kinds, of all compressions, an index. */
export async function startWorld(): Promise<World> {
  const registry = await startRegistry();
  const base = await busyboxLayer();
  const large = await randomLayer({ size: 700_000, seed: 1 });
  const middle = await randomLayer({ size: 90_000, seed: 2 });
  const text = await fileLayer({ "etc/motd": "hello\n".repeat(9000) }, { compression: "zstd" });
  const plain = await fileLayer({ "etc/plain": "plain\n".repeat(5000) }, { compression: "none" });
  const amd64 = await pushImage(registry, "apps/web", { layers: [base, middle] });
  const arm64 = await pushImage(registry, "apps/web", {
    layers: [plain, middle],
    platform: "linux/arm64",
  });
  await pushIndex(registry, "apps/web:1", [amd64, arm64]);
  const tool = await pushImage(registry, "apps/tool:1", { layers: [middle, large] });
  const agent = await pushImage(registry, "apps/agent:1", { layers: [text, plain] });
  const twin = await pushImage(registry, "other/twin:1", {
    layers: [large, base],
    mediaTypes: "docker",
  });
  return {
    registry,
    images: [amd64, arm64, tool, agent, twin],
    layers: [base, large, middle, text, plain],
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}

/**
 * A config of all images, and of stages of all kinds.
 *
 * @param host The registry, or what stands before it.
 * @returns The config; its files are those of {@linkcode writeFiles}.
 */
export function configFor(host: string): Config {
  const http = { tlsVerify: false };
  return {
    digests: "ignore",
    platform: "linux/amd64",
    sources: {
      web: docker(`${host}/apps/web:1`, { ...http, index: true, platform: "linux/arm64" }),
      tool: docker(`${host}/apps/tool:1`, http),
      agent: docker(`${host}/apps/agent:1`, http),
      twin: docker(`${host}/other/twin:1`, http),
    },
    inputs: {
      files: tree("files"),
      apps: images({ tool: "localhost/tool:1", agent: "localhost/agent:1" }),
      twin: images({ twin: "localhost/twin:1" }),
      made: output("made", { as: "localhost/made:1" }),
    },
    stages: {
      made: ociArchive({ inputs: ["files"], filename: "made.tar" }),
      base: copyTree({ inputs: ["files"], to: "/srv" }),
      apps: install({
        ...{ inputs: ["apps", "made"], on: "base" },
        destination: { type: "containers-storage", path: STORAGE, driver: "vfs" },
      }),
      os: exec({ on: "apps", command: ["sh", "-c", "cat srv/* | sha256sum >sum"] }),
      archives: dockerArchive({ inputs: ["apps"], path: "/archives" }),
      folder: install({ inputs: ["twin"], destination: { type: "oci", path: "/twin" } }),
    },
  };
}

/** Where {@linkcode configFor} installs images: names and dates there are random. */
export const STORAGE = "/var/storage";

/** Writes what the config takes from this machine. */
export async function writeFiles(dir: TempDir): Promise<void> {
  await Deno.mkdir(dir.join("files"));
  for (const [name, size] of [["a", 10], ["b", 40_000]] as const) {
    await Deno.writeFile(dir.join("files", name), new Uint8Array(size).fill(97));
    await Deno.utime(dir.join("files", name), 86_400, 86_400);
  }
  // Outside of git, trees are as old as their newest file or folder.
  await Deno.utime(dir.join("files"), 86_400, 86_400);
}
