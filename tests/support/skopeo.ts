import type { SkopeoImage } from "../../src/tools/skopeo_args.ts";
import { run } from "./run.ts";

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
