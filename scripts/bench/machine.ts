import { run } from "../../tests/support/mod.ts";

/**
 * Describes what a run was made on.
 *
 * @param folder Where the files of the run are.
 * @returns Processor, memory, file system, kernel and versions of the tools, in a line.
 */
export async function describeMachine(folder: string): Promise<string> {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "?";
  const memory = `${Math.round(Deno.systemMemoryInfo().total / 2 ** 30)} GiB`;
  const files = (await run("df", ["--output=fstype", folder])).trim().split("\n").at(-1) ?? "?";
  const kernel = `Linux ${Deno.osRelease()}`;
  const tools = await Promise.all([
    ...["skopeo", "podman"].map((tool) => version(tool, "--version")),
    ...["crane", "regctl", "regsync", "oras"].map((tool) => version(tool, "version")),
  ]);
  const deno = `Deno ${Deno.version.deno}`;
  return [`${navigator.hardwareConcurrency} × ${cpu}`, memory, files, kernel, deno, ...tools.flat()]
    .join(", ");
}

async function version(tool: string, ask: string): Promise<string[]> {
  try {
    const text = await run(tool, [ask]);
    return [`${tool} ${/\d+(\.\d+)+/.exec(text)?.[0] ?? "?"}`];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
