import type { SkopeoImage } from "../../src/tools/skopeo_args.ts";
import { isOlder, readSkopeoVersion, type SkopeoVersion } from "../../src/tools/skopeo_version.ts";
import { run } from "./run.ts";

/**
 * Asks the skopeo that is first in PATH what it is, so that a test expects what is right for it.
 *
 * @returns Its version, and whether that is a version or a newer one.
 * @throws {Error} If it does not tell.
 */
export async function thisSkopeo(): Promise<
  { readonly text: string; isSince(version: SkopeoVersion): boolean }
> {
  const said = await readSkopeoVersion();
  if (!said) throw new Error("skopeo does not tell its version");
  return { text: said.text, isSince: (version) => !isOlder(said.version, version) };
}

/**
 * Runs skopeo.
 *
 * @param args Its arguments.
 * @returns Its standard output.
 * @throws {Error} If it fails, with its standard error.
 */
export async function skopeo(...args: string[]): Promise<string> {
  return await run("skopeo", args);
}

/**
 * Takes an image for skopeo from text.
 *
 * @param text Such as `docker://127.0.0.1:5000/app:1`.
 * @returns The image, written the same again.
 */
export function skopeoImage(text: string): SkopeoImage {
  const [, transport = "", name = ""] = /^([^:]*):?(?:\/\/)?(.*)$/s.exec(text) ?? [];
  return { transport, name };
}
