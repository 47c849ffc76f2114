import { parsePlatform, type Platform } from "../../config/mod.ts";
import { reachOf } from "../../config/registries.ts";
import { StageError } from "../../src/errors/mod.ts";
import type { GivenInput, StageContext, StageImage } from "../../src/stages/stage.ts";
import { runInSandbox } from "../../src/tools/sandbox.ts";
import { copyTo } from "./copy_to.ts";
import type { PushedImage, PushedIndex } from "./images.ts";
import type { Registry } from "./registry.ts";
import { type TempDir, tempDir } from "./temp_dir.ts";

/** What a stage under test is given. */
export interface StageContextOptions {
  /** Name of the stage; `stage`, unless told. */
  readonly name?: string;
  /** What it reads; nothing, unless told. */
  readonly inputs?: readonly GivenInput[];
  /** Seconds since 1970; 0, unless told. */
  readonly epoch?: number;
  /** The machine's own, unless told. */
  readonly platform?: Platform;
  /** Ends the stage. */
  readonly signal?: AbortSignal;
}

/** A {@linkcode StageContext} over temporary folders. */
export interface TestStage extends StageContext, AsyncDisposable {
  /** The folder that all of them are in; it is `root`, too. */
  readonly dir: TempDir;
  /** The lines of the log so far. */
  readonly lines: readonly string[];
}

/**
 * Makes what a stage is given; programs run in the real sandbox, without mounts.
 *
 * @param options Its inputs, its name, its time.
 * @returns The context; `await using` removes its folders.
 *
 * @example Usage
 * ```ts ignore
 * await using stage = await stageContext({ inputs: [imagesInput("apps", [image])] });
 * await install({ type: "install", inputs: ["apps"], destination }, stage);
 * ```
 */
export async function stageContext(options: StageContextOptions = {}): Promise<TestStage> {
  const { name = "stage", inputs = [], epoch = 0 } = options;
  const { platform = parsePlatform(Deno.build.arch) } = options;
  const { signal = new AbortController().signal } = options;
  const dir = await tempDir();
  const folders = ["tree", "scratch", "staging", "archives"].map((name) => dir.join(name));
  for (const folder of folders) await Deno.mkdir(folder);
  const [tree = "", scratch = "", staging = "", archives = ""] = folders;
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const paths = { tree, scratch, staging, archives, root: dir.path };
  return {
    ...{ dir, lines, name, inputs, ...paths, epoch, platform, signal, log },
    registriesD: () => Promise.resolve(undefined),
    made: () => {},
    notice: log,
    reach: (reference, own) => reachOf(reference, own),
    async run(program, args, options) {
      const result = await runInSandbox(program, args, { ...options, signal });
      const said = new TextDecoder().decode(result.stdout) + result.stderr;
      for (const line of said.split("\n")) if (line) log(line);
      if (result.code === 0) return result;
      const message = `${program} exited with ${result.code}`;
      const hint = options?.hint?.(lines.join("\n"));
      throw new StageError(name, message, { log: lines.join("\n"), ...(hint && { hint }) });
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** What {@linkcode stageImage} is told besides the image. */
export interface StageImageOptions {
  /** Normalised references; its own, unless told. */
  readonly names?: readonly string[];
  /** The manifest list that it was chosen from; it is kept beside the folder. */
  readonly index?: PushedIndex;
}

/**
 * Copies an image out of a registry, as a stage is given it: in a folder of the `dir` transport.
 *
 * @param registry Where it is.
 * @param image The image.
 * @param folder Where it goes.
 * @param options What it is called, the index that it was chosen from.
 * @returns The image.
 */
export async function stageImage(
  registry: Registry,
  image: PushedImage,
  folder: string,
  { names = [image.reference], index }: StageImageOptions = {},
): Promise<StageImage> {
  const { id, digest } = image;
  await copyTo(registry, image, `dir:${folder}`);
  if (index) await Deno.writeTextFile(`${folder}.index.json`, index.manifest);
  const platform = parsePlatform(image.platform);
  const kept = index && { index: `${folder}.index.json` };
  return { format: "dir", path: folder, id, digest, names, platform, ...kept };
}

/**
 * An input of images.
 *
 * @param name Name of the input.
 * @param images The images.
 * @returns The input.
 */
export function imagesInput(name: string, images: readonly StageImage[]): GivenInput {
  return { name, kind: "images", images };
}

/**
 * An input of a tree.
 *
 * @param name Name of the input.
 * @param path The folder.
 * @returns The input.
 */
export function treeInput(name: string, path: string): GivenInput {
  return { name, kind: "tree", path };
}
