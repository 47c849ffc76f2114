// deno-lint-ignore-file no-console
/** `deno run -A main.ts`: gives `sync` a minute and 200 MB; Ctrl-C ends it in order. */

import { InterruptedError } from "@stowage/stowage";
import config from "./images.config.ts";
import { sync } from "./sync.ts";

const interrupt = new AbortController();
const stop = () => interrupt.abort();
Deno.addSignalListener("SIGINT", stop);

try {
  const images = await sync(config, {
    store: Deno.env.get("STOWAGE_STORE") ?? ".stowage",
    budget: 200_000_000,
    onProgress: (name, done) => console.log(`${name}: ${Math.floor(100 * done)} %`),
    signal: AbortSignal.any([interrupt.signal, AbortSignal.timeout(60_000)]),
  });
  for (const { name, id } of images) console.log(`${name} is ${id}`);
} catch (error) {
  if (!(error instanceof InterruptedError)) throw error;
  console.error(error.message);
  Deno.exitCode = 130;
} finally {
  Deno.removeSignalListener("SIGINT", stop);
}
