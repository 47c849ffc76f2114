import { join } from "@std/path";
import { UsageError } from "../../errors/mod.ts";
import { findCaches, findDeno, runDeno } from "../../tools/deno.ts";

/** A kind of machine that a program can be compiled for. */
export interface Target {
  /** As the command line has it. */
  readonly name: string;
  /** As `uname -m` says it. */
  readonly machine: string;
  /** As Deno calls it. */
  readonly triple: string;
  /** The package of npm that has Deno for it. */
  readonly package: string;
}

/** All of them. */
export const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    machine: "x86_64",
    triple: "x86_64-unknown-linux-gnu",
    package: "@deno/linux-x64-glibc",
  },
  {
    name: "linux-arm64",
    machine: "aarch64",
    triple: "aarch64-unknown-linux-gnu",
    package: "@deno/linux-arm64-glibc",
  },
];

/**
 * Finds a target.
 *
 * @param name Its name; this machine's if absent.
 * @returns The target.
 * @throws {UsageError} If there is none.
 */
export function targetOf(name?: string): Target {
  const found = TARGETS.find((target) =>
    name === undefined ? target.triple === Deno.build.target : target.name === name
  );
  if (found) return found;
  throw new UsageError(`Cannot compile for "${name ?? Deno.build.target}"`, {
    hint: `targets: ${TARGETS.map(({ name }) => name).join(", ")}`,
  });
}

/**
 * Finds the Deno of a target: this one, or the same version from npm.
 *
 * @param target The target.
 * @returns Its path.
 * @throws {UsageError} If it cannot be had.
 */
export async function denoOf(target: Target): Promise<string> {
  const deno = await findDeno();
  const hint = "with a network, it comes from npm; or say --deno FILE";
  if (deno === undefined) throw new UsageError("Cannot compile without Deno on the PATH");
  if (target.triple === Deno.build.target) return deno;
  const name = `${target.package}@${Deno.version.deno}`;
  const { npmCache } = await findCaches(deno);
  const args = ["cache", "--quiet", "--no-config", "--no-lock", `npm:${name}`];
  const { code, stderr } = await runDeno(deno, args, { cwd: "/" });
  if (code !== 0) {
    throw new UsageError(`Cannot get Deno for ${target.name}: ${stderr.trim()}`, { hint });
  }
  for await (const { name: registry } of Deno.readDir(npmCache)) {
    const file = join(npmCache, registry, target.package, Deno.version.deno, "deno");
    if (await Deno.stat(file).then(() => true, () => false)) return file;
  }
  throw new UsageError(`Cannot find Deno for ${target.name} in "${npmCache}"`, { hint });
}
