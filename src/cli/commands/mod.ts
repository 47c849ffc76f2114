/**
 * The commands of the command line.
 *
 * @module
 */

import { UsageError } from "../../errors/mod.ts";
import { nearest } from "../../graph/nearest.ts";
import type { Command, NamedCommand } from "../command.ts";

/** A command that is not loaded yet. */
interface Entry {
  /** What it does, in a line. */
  readonly summary: string;
  /** Loads it. */
  load(): Promise<Command>;
}

/** The commands by name; each is loaded when it is asked for. */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  init: {
    summary: "begins a project here: images.config.ts, deno.json, .gitignore; overwrites nothing",
    load: async () => (await import("./init.ts")).init,
  },
  add: {
    summary: "adds images of registries to the config, and pins them in the lock",
    load: async () => (await import("./add.ts")).add,
  },
  check: {
    summary: "checks the config, and names every mistake with the nearest right name",
    load: async () => (await import("./check.ts")).check,
  },
  plan: {
    summary: "shows what a build would do and download",
    load: async () => (await import("./plan.ts")).plan,
  },
  graph: {
    summary: "draws the config: sources, inputs and stages",
    load: async () => (await import("./graph.ts")).graph,
  },
  fetch: {
    summary: "fetches sources into the store",
    load: async () => (await import("./fetch.ts")).fetch,
  },
  build: {
    summary: "fetches sources, then runs the stages",
    load: async () => (await import("./build.ts")).build,
  },
  push: {
    summary: "pushes sources to a registry, as they are, from the store or from where they are",
    load: async () => (await import("./push.ts")).push,
  },
  bundle: {
    summary: "carries sources to a site without network, in a file or in pieces",
    load: async () => (await import("./bundle.ts")).bundle,
  },
  lock: {
    summary: "pins the tags of the config in images.lock.json",
    load: async () => (await import("./lock.ts")).lock,
  },
  import: {
    summary: "makes a config of what files of other tools say of images",
    load: async () => (await import("./import.ts")).importFiles,
  },
  export: {
    summary: "prints sources and inputs for a manifest of osbuild, from config and lock",
    load: async () => (await import("./export.ts")).exportTo,
  },
  outdated: {
    summary: "shows which tags are new, or have moved since they were pinned; changes nothing",
    load: async () => (await import("./outdated.ts")).outdated,
  },
  schema: {
    summary: "prints the JSON Schema of the config, of the lock, or of a report",
    load: async () => (await import("./schema.ts")).schema,
  },
  ls: {
    summary: "lists images and artifacts in the store, and images that are read on this machine",
    load: async () => (await import("./ls.ts")).ls,
  },
  report: {
    summary: "writes a page on the images of the config, for a review; asks no registry",
    load: async () => (await import("./report.ts")).report,
  },
  verify: {
    summary: "hashes everything in the store, and moves what is damaged to its quarantine",
    load: async () => (await import("./verify.ts")).verify,
  },
  gc: {
    summary: "removes from the store what nothing needs, or from a cache what is old",
    load: async () => (await import("./gc.ts")).gc,
  },
  worker: {
    summary: "works for fetch --on and build --on of other machines",
    load: async () => (await import("./worker.ts")).worker,
  },
  ci: {
    summary: "writes a workflow that builds the config on machines of a CI system",
    load: async () => (await import("./ci.ts")).ci,
  },
  doctor: {
    summary: "says whether this machine has what stowage needs",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  compile: {
    summary: "makes one executable file of a script, or of stowage itself",
    load: async () => (await import("./compile.ts")).compile,
  },
  completion: {
    summary: "prints the script by which bash, zsh or fish completes commands, flags and names",
    load: async () => (await import("./completion.ts")).completion,
  },
  help: {
    summary: "shows the help of a command, or all commands and the flags that each of them takes",
    load: async () => (await import("./help.ts")).help,
  },
  version: {
    summary: "shows the version",
    load: async () => (await import("./version.ts")).version,
  },
};

/**
 * Loads a command.
 *
 * @param name Its name.
 * @returns The command.
 * @throws {UsageError} If there is none of that name.
 */
export async function findCommand(name: string): Promise<NamedCommand> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry) return await loadCommand(entry);
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
export function loadCommands(): Promise<(readonly [name: string, NamedCommand])[]> {
  return Promise.all(
    Object.entries(COMMANDS).map(async ([name, entry]) =>
      [name, await loadCommand(entry)] as const
    ),
  );
}

async function loadCommand({ summary, load }: Entry): Promise<NamedCommand> {
  return { ...await load(), summary };
}
