import { join } from "@std/path";
import type { GivenInput, HostImage, StageImage, StageInput } from "../stage_input.ts";
import type { StageKind } from "../stages/mod.ts";
import { findIsolation } from "../tools/sandbox.ts";
import { copyExactly } from "../tools/tar.ts";
import { copyInto } from "../tools/tree.ts";

/** What a stage gets its inputs by. */
export interface PrepareOptions {
  /** An empty folder for copies, on the file system of the stage's tree. */
  readonly staging: string;
  /** The time of every file of a copied tree without a date of its own, in seconds since 1970. */
  readonly epoch: number;
  /** Ends the work. */
  readonly signal: AbortSignal;
  /** Copies an image of this machine to a folder that is not there yet. */
  copyHost(input: string, image: HostImage, to: string): Promise<StageImage>;
}

/**
 * Makes inputs such that a stage sees no more of them than their ids say.
 *
 * @param access How the stage gets at them.
 * @param inputs What it reads.
 * @param options Where copies are made.
 * @returns What it is given.
 * @throws {ToolError} If a file cannot be copied.
 * @throws {StowageError} If an image of this machine cannot be had.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function prepareInputs(
  access: StageKind["access"],
  inputs: readonly StageInput[],
  { staging, epoch, signal, copyHost }: PrepareOptions,
): Promise<GivenInput[]> {
  // Where nothing can be mounted, a program that may do anything gets copies of images as well.
  const isOpen = access === "exposed" && await findIsolation() === "none";
  const copyOf = async (path: string, copy: (to: string) => Promise<void>): Promise<string> => {
    const to = join(staging, crypto.randomUUID());
    if ((await Deno.stat(path)).isFile) {
      await Deno.copyFile(path, to);
    } else {
      await Deno.mkdir(to);
      await copy(to);
    }
    return to;
  };
  return await Promise.all(inputs.map(async (input): Promise<GivenInput> => {
    if (input.kind === "host-image") {
      const { name, image } = input;
      const copy = await copyHost(name, image, join(staging, crypto.randomUUID()));
      return { name, kind: "images", images: [copy] };
    }
    if (access === "shared") return input;
    if (input.kind === "tree") {
      const { name, kind, path, patterns, attributes, date = epoch } = input;
      const options = { epoch: date, patterns, attributes, signal };
      const copy = (to: string) => copyExactly(path, to, options);
      return { name, kind, path: await copyOf(path, copy) };
    }
    if (!isOpen) return input;
    const images = input.images.map(async (image) => {
      const copy = (to: string) => copyInto(image.path, to, { signal });
      return { ...image, path: await copyOf(image.path, copy) };
    });
    return { ...input, images: await Promise.all(images) };
  }));
}
