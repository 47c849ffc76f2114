import { join } from "@std/path";
import { run } from "./run.ts";

/** A temporary folder that goes when it is disposed, with all that was mounted or locked in it. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
  /** A path inside the folder. */
  join(...parts: string[]): string;
  /** Removes all that is in the folder. */
  empty(): Promise<void>;
}

/**
 * Makes a temporary folder.
 *
 * @returns The folder; `await using` removes it.
 */
export async function tempDir(): Promise<TempDir> {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "stowage-" }));
  return {
    path,
    join: (...parts) => join(path, ...parts),
    async empty() {
      await unmountAll(path);
      for await (const { name } of Deno.readDir(path)) await removeAll(join(path, name));
    },
    async [Symbol.asyncDispose]() {
      await unmountAll(path);
      await removeAll(path);
    },
  };
}

async function unmountAll(path: string): Promise<void> {
  const table = await Deno.readTextFile("/proc/self/mountinfo");
  const mounts = table.split("\n")
    .map((line) => unescapeMount(line.split(" ")[4] ?? ""))
    .filter((mount) => mount.startsWith(`${path}/`));
  for (const mount of mounts.reverse()) await run("umount", ["--lazy", mount]);
}

/** The kernel writes spaces, tabs, newlines and backslashes of a path in octal. */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8)));
}

async function removeAll(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    await run("chmod", ["-R", "u+rwX", path]);
    await Deno.remove(path, { recursive: true });
  }
}
