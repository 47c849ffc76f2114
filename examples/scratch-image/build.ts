// deno-lint-ignore-file no-console
/** Makes the image of `images.config.ts`, pushes it, and says its digest: `deno run -A build.ts`. */

import { RunError, stowage } from "@stowage/stowage";
import config from "./images.config.ts";

try {
  const { stages } = await stowage(config).build();
  for (const { name, status, tree } of stages) {
    console.log(`${name}: ${status}`);
    if (tree !== undefined) console.log(await digestOf(tree, "settings.oci.tar"));
  }
} catch (error) {
  if (!(error instanceof RunError)) throw error;
  for (const [key, { message }] of Object.entries(error.failures)) {
    console.error(`${key}: ${message}`);
  }
  Deno.exit(1);
}

/** The digest of the image in an archive; the registry has it under the same one. */
async function digestOf(folder: string, file: string): Promise<string> {
  const { success, stdout } = await new Deno.Command("skopeo", {
    args: ["inspect", "--format", "{{.Digest}}", `oci-archive:${file}`],
    cwd: folder,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot read "${file}"`);
  return new TextDecoder().decode(stdout).trim();
}
