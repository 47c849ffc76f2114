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
