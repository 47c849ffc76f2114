import { join } from "@std/path";
import { run } from "../support/mod.ts";
import type { Random } from "./random.ts";

/** What no digest is known of. */
const NOT_CHECKED = ["origin.json", "stage.json", "archive.json", "log", "version"];

/**
 * Flips a bit of some files of a store: of layers, manifests, configs, indexes, trees, archives.
 *
 * @param store The store.
 * @param random Chooses them.
 * @returns Their paths.
 */
export async function damage(store: string, random: Random): Promise<string[]> {
  const found = await run("find", [
    ...["sources", "blobs/sha256", "trees", "archives"].map((name) => join(store, name)),
    ...["-type", "f", "-size", "+0"],
    ...NOT_CHECKED.flatMap((name) => ["-not", "-name", name]),
  ]);
  const [first = "", ...others] = found.trim().split("\n").sort();
  const chosen = random.some([first, ...others]).slice(0, random.int(1, 4));
  for (const path of chosen) {
    const bytes = await Deno.readFile(path);
    const at = random.int(0, bytes.length - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(0, 7));
    await Deno.writeFile(path, bytes);
  }
  return chosen;
}
