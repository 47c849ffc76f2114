/**
 * The commands of the command line.
 *
 * @module
 */

import type { Command } from "../command.ts";

/** The commands by name; each is loaded when it is asked for. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  check: async () => (await import("./check.ts")).check,
  plan: async () => (await import("./plan.ts")).plan,
  graph: async () => (await import("./graph.ts")).graph,
  fetch: async () => (await import("./fetch.ts")).fetch,
  build: async () => (await import("./build.ts")).build,
  lock: async () => (await import("./lock.ts")).lock,
  outdated: async () => (await import("./outdated.ts")).outdated,
  schema: async () => (await import("./schema.ts")).schema,
  ls: async () => (await import("./ls.ts")).ls,
  verify: async () => (await import("./verify.ts")).verify,
  gc: async () => (await import("./gc.ts")).gc,
  doctor: async () => (await import("./doctor.ts")).doctor,
};
