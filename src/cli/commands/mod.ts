/**
 * The commands of the command line.
 *
 * @module
 */

import { UsageError } from "../../errors/mod.ts";
import { nearest } from "../../graph/nearest.ts";
import type { Command } from "../command.ts";

/** The commands by name; each is loaded when it is asked for. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import("./init.ts")).init,
  add: async () => (await import("./add.ts")).add,
  check: async () => (await import("./check.ts")).check,
  plan: async () => (await import("./plan.ts")).plan,
  graph: async () => (await import("./graph.ts")).graph,
  fetch: async () => (await import("./fetch.ts")).fetch,
  build: async () => (await import("./build.ts")).build,
  push: async () => (await import("./push.ts")).push,
  bundle: async () => (await import("./bundle.ts")).bundle,
  lock: async () => (await import("./lock.ts")).lock,
  import: async () => (await import("./import.ts")).importFiles,
  export: async () => (await import("./export.ts")).exportTo,
  outdated: async () => (await import("./outdated.ts")).outdated,
  schema: async () => (await import("./schema.ts")).schema,
  ls: async () => (await import("./ls.ts")).ls,
  report: async () => (await import("./report.ts")).report,
  verify: async () => (await import("./verify.ts")).verify,
  gc: async () => (await import("./gc.ts")).gc,
  worker: async () => (await import("./worker.ts")).worker,
  ci: async () => (await import("./ci.ts")).ci,
  doctor: async () => (await import("./doctor.ts")).doctor,
  compile: async () => (await import("./compile.ts")).compile,
  completion: async () => (await import("./completion.ts")).completion,
  help: async () => (await import("./help.ts")).help,
  version: async () => (await import("./version.ts")).version,
};

/**
 * Loads a command.
 *
 * @param name Its name.
 * @returns The command.
 * @throws {UsageError} If there is none of that name.
 */
export async function findCommand(name: string): Promise<Command> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load) return await load();
  const near = nearest(name, Object.keys(COMMANDS));
  throw new UsageError(`Cannot run "${name}": there is no such command`, {
    hint: near ? `did you mean "${near}"?` : "see stowage --help",
  });
}

/**
 * Loads all commands.
 *
 * @returns Each with its name.
 */
export function loadCommands(): Promise<(readonly [name: string, Command])[]> {
  return Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => [name, await load()] as const),
  );
}
