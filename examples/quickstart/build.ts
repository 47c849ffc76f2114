// deno-lint-ignore-file no-console
/**
 * Fetches the images of `images.config.ts`, as locked if `stowage lock` was run:
 * `deno run -A build.ts`.
 */

import { format as formatBytes } from "@std/fmt/bytes";
import { bold, dim, green, red, setColorEnabled } from "@std/fmt/colors";
import {
  ContentError,
  FetchError,
  type Listener,
  readLock,
  RunError,
  stowage,
} from "@stowage/stowage";
import config from "./images.config.ts";

if (!Deno.stdout.isTerminal()) setColorEnabled(false);

const tell: Listener = (event) => {
  if (event.type === "resolved") console.log(dim(`${event.name} is at ${event.from}`));
  if (event.type === "absent") console.log(dim(`${event.name} is not at ${event.from}`));
};

try {
  const lock = await readLock("images.lock.json");
  const { images } = await stowage(config, { lock }).fetch({ onEvent: tell });
  for (const { name, platform, status, size, id, path } of images) {
    console.log(`\n${green("✔")} ${bold(name)}, ${platform}, ${formatBytes(size)}, ${status}`);
    console.log(`  ${dim("id")}  ${id}`);
    console.log(`  ${dim("in")}  ${path}`);
  }
} catch (error) {
  if (!(error instanceof RunError)) throw error;
  for (const [key, failure] of Object.entries(error.failures)) {
    console.error(`\n${red("✘")} ${bold(key)}`);
    if (failure instanceof ContentError) {
      console.error(`  wanted ${failure.expected ?? "what its manifest says"}`);
      console.error(`  got    ${failure.actual ?? "something else"}`);
    } else if (failure instanceof FetchError) {
      for (const { reference, reason } of failure.attempts) {
        console.error(`  ${reason} at ${reference}`);
      }
    } else {
      console.error(`  ${failure.code}: ${failure.message}`);
    }
  }
  Deno.exit(1);
}
