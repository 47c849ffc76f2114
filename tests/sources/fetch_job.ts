/**
 * A program that fetches what it is told on its command line, once a line arrives on its standard
 * input; it prints what happens, one JSON object a line.
 *
 * @module
 */

import { RunError, stowage, StowageError } from "@stowage/stowage";
import type { Job, JobLine } from "./job.ts";

const { sources, options, env = {} }: Job = JSON.parse(Deno.args[0] ?? "");
for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);

function print(line: JobLine): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}

print({ type: "ready" });
await Deno.stdin.read(new Uint8Array(1));
try {
  const { images } = await stowage({ digests: "ignore", sources }, options).fetch({
    onEvent: print,
  });
  print({ type: "result", images });
} catch (error) {
  if (!(error instanceof StowageError)) throw error;
  const failures = error instanceof RunError ? error.failures : { "": error };
  const errors = Object.entries(failures).map(([name, error]) => [name, error.toJSON()] as const);
  print({ type: "error", errors: Object.fromEntries(errors) });
}
