import { dirname } from "@std/path";
import type { ContainerLoaderOptions } from "../../config/mod.ts";
import { containerLoader } from "../../src/stages/run/container_loader.ts";
import type { StageImage } from "../../src/stages/stage.ts";
import { fixture, type RegistryFixture } from "../support/fixture.ts";
import {
  containerStorage,
  fileLayer,
  imagesInput,
  pushImage,
  randomLayer,
  run,
  stageContext,
  stageImage,
  type TempDir,
  tempDir,
} from "../support/mod.ts";

/** Where the loader is in its tree. */
export const FOLDER = "usr/share/stowage/container-loader";
/** The name of an image. */
export const APP = "quay.io/acme/app:1";

/** What makes images for loaders. */
export interface LoaderFixture extends RegistryFixture {
  /** Images of these sizes, in bytes, by name; each is another one. */
  makeImages(sizes: Readonly<Record<string, number>>): Promise<StageImage[]>;
}

/** Sets it up. */
export async function loaderFixture(): Promise<LoaderFixture> {
  const parts = await fixture({ registry: true });
  return { ...parts, makeImages: (sizes) => makeImages(parts, sizes) };
}

async function makeImages(
  { dir, registry }: RegistryFixture,
  sizes: Readonly<Record<string, number>>,
): Promise<StageImage[]> {
  const images: StageImage[] = [];
  for (const [name, size] of Object.entries(sizes)) {
    const layers = [
      await fileLayer({ "etc/name": `${name} ${size}\n` }),
      await randomLayer({ size }),
    ];
    const image = await pushImage(registry, "app:1", { layers });
    const folder = dir.join(crypto.randomUUID());
    images.push(await stageImage(registry, image, folder, { names: [name] }));
  }
  return images;
}

/** A tree with a loader. */
export interface System extends AsyncDisposable {
  readonly tree: string;
  /** Names of the archives that are there. */
  archives(): Promise<string[]>;
  /** Adds images by another stage. */
  add(images: readonly StageImage[], options?: Partial<ContainerLoaderOptions>): Promise<void>;
  /** Changes the list of images. */
  edit(change: (text: string) => string): Promise<void>;
}

/** Makes a tree with a loader of these images. */
export async function makeSystem(
  images: readonly StageImage[],
  options: Partial<ContainerLoaderOptions> = {},
): Promise<System> {
  const stage = await stageContext({ name: "loader", inputs: [imagesInput("apps", images)] });
  const { tree } = stage;
  const list = `${tree}/${FOLDER}/images.list`;
  const system: System = {
    tree,
    archives: async () => (await namesIn(`${tree}/${FOLDER}/images`)).sort(),
    add: async (images, more) => {
      const inputs = [imagesInput("apps", images)];
      const type = "container-loader";
      const loader = { type, inputs: ["apps"], engine: "podman", ...options, ...more } as const;
      await containerLoader(loader, { ...stage, inputs });
    },
    edit: async (change) => await Deno.writeTextFile(list, change(await Deno.readTextFile(list))),
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
  await system.add(images);
  return system;
}

/** The names in a folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
}

/** An engine as the script is told it. */
export interface Engine extends AsyncDisposable {
  readonly dir: TempDir;
  /** What the script is told to run. */
  command: string;
  /** Runs podman on the storage; returns the lines that it says. */
  podman(...args: string[]): Promise<string[]>;
  /** Images by name: `quay.io/acme/app:1 sha256:…`. */
  images(): Promise<string[]>;
  /** Runs this script in place of podman, which is `$podman` there. */
  wrap(script: string): Promise<void>;
}

/** Makes podman with a storage of its own; below the root, if it is told one. */
export async function makeEngine(root?: string): Promise<Engine> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const storage = resources.use(await containerStorage());
  const podman = ["podman", "--root", root ?? storage.root, "--runroot", storage.runRoot];
  podman.push("--storage-driver", "vfs", "--tmpdir", `${dirname(storage.runRoot)}/tmp`);
  const owned = resources.move();
  const engine: Engine = {
    dir,
    command: podman.join(" "),
    podman: async (...args) => {
      const [program = "", ...flags] = podman;
      const text = await run(program, [...flags, ...args]);
      return text.split("\n").filter((line) => line !== "");
    },
    images: async () => {
      const format = "--format={{.Repository}}:{{.Tag}} sha256:{{.Id}}";
      return (await engine.podman("images", "--no-trunc", format)).sort();
    },
    wrap: async (script) => {
      engine.command = dir.join("engine");
      const text = `#!/bin/sh\npodman="${podman.join(" ")}"\nmarks=${dir.path}\n${script}\n`;
      await Deno.writeTextFile(engine.command, text, { mode: 0o755 });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return engine;
}

/** Boots the system: runs its script, in a session of its own, as a unit would. */
export async function boot(
  { tree }: System,
  engine: Engine,
  shell = ["sh"],
): Promise<{ code: number; status: string[]; stderr: string }> {
  const script = `${tree}/${FOLDER}/container-loader.sh`;
  const { code, stderr } = await new Deno.Command("setsid", {
    args: ["--wait", ...shell, script],
    env: { STOWAGE_ROOT: tree, STOWAGE_ENGINE: engine.command },
    stdin: "null",
  }).output();
  const file = `${tree}/var/lib/stowage/container-loader.status`;
  const text = await Deno.readTextFile(file).catch(() => "");
  const status = text.trimEnd().split("\n").map((line) =>
    line.replaceAll(`${tree}/${FOLDER}/`, "")
  );
  return { code, status, stderr: new TextDecoder().decode(stderr) };
}

/**
 * There is no docker daemon in a test: podman speaks its words, as far as the script knows them.
 * With containerd, docker's ids are those of manifests: here, image ids in other
 * digits.
 */
export const DOCKER = `
flip() {
  case $store in
  io.containerd*) printf '%s' "$1" | tr 0123456789abcdef fedcba9876543210 ;;
  *) printf '%s' "$1" ;;
  esac
}
own() { if [ "\${#1}" = 64 ]; then flip "$1"; else printf '%s' "$1"; fi; }
case "$1 $2 $3" in
"info --format {{.DockerRootDir}}") exec $podman info --format '{{.Store.GraphRoot}}' ;;
"info --format {{.DriverStatus}}") echo "[[driver-type $store]]" ;;
"image inspect --format")
  found=$($podman image inspect --format "$4" "$(own "$5")") || { echo; exit 1; }
  if [ "$4" = '{{.Id}}' ]; then echo "sha256:$(flip "$found")"; else echo "$found"; fi
  ;;
"tag "*) exec $podman tag "$(own "$2")" "$3" ;;
"load "* | "rmi "*) exec $podman "$@" ;;
*) echo "unknown: $*" >&2; exit 125 ;;
esac`;
