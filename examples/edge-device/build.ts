// deno-lint-ignore-file no-console
/**
 * Builds what `images.config.ts` describes, as root: `deno run -A build.ts`. Other users can build
 * what has no container storage in it: `deno run -A build.ts os-loader`.
 */

import { bold, dim, green, red, setColorEnabled } from "@std/fmt/colors";
import { type Listener, readLock, RunError, stowage } from "@stowage/stowage";
import config from "./images.config.ts";

if (!Deno.stdout.isTerminal()) setColorEnabled(false);

const tell: Listener = (event) => {
  if (event.type !== "image" && event.type !== "stage") return;
  console.log(`${event.status.padEnd(7)}  ${dim(event.type)} ${event.name}`);
};

try {
  const lock = await readLock("images.lock.json");
  const { out } = await stowage(config, { lock })
    .build({ names: Deno.args, out: Deno.env.get("OUT") ?? "dist", onEvent: tell });
  for (const [name, path] of Object.entries(out)) {
    console.log(`\n${green("✔")} ${bold(name)}\n  ${dim("in")}  ${path}`);
  }
} catch (error) {
  if (!(error instanceof RunError)) throw error;
  for (const [key, { message, hint }] of Object.entries(error.failures)) {
    console.error(`\n${red("✘")} ${bold(key)}\n  ${message}`);
    if (hint !== undefined) console.error(`  → ${hint}`);
  }
  Deno.exit(1);
}
