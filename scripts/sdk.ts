/**
 * Builds what is installed: the SDK and the command line as JavaScript that imports no packages, its
 * types, and the bundler that `stowage compile` needs: sdk.ts [FOLDER]
 */
import { copy, emptyDir } from "@std/fs";
import { fromFileUrl, join, resolve } from "@std/path";
import { bundleStowage } from "../src/cli/compile/bundle.ts";
import { findCaches } from "../src/tools/deno.ts";
import { writeTypes } from "./release/types.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

if (import.meta.main) {
  const folder = resolve(Deno.args[0] ?? join(ROOT, ".tools/sdk"));
  await emptyDir(folder);
  await bundleStowage(folder, new AbortController().signal);
  await writeTypes(ROOT, "mod.ts", join(folder, "types"));
  const entry = join(folder, "mod.js");
  const typed = `// @ts-self-types="./types/mod.d.ts"\n${await Deno.readTextFile(entry)}`;
  await Deno.writeTextFile(entry, typed);
  const { denoDir } = await findCaches(Deno.execPath());
  for await (const { name } of Deno.readDir(join(denoDir, "dl"))) {
    if (!name.startsWith("esbuild-")) continue;
    await copy(join(denoDir, "dl", name), join(folder, "bundler", name));
  }
}
