import { run } from "./run.ts";
import { tempDir } from "./temp_dir.ts";

/** A storage of podman's own kind, apart from the machine's. */
export interface ContainerStorage extends AsyncDisposable {
  readonly driver: "overlay" | "vfs";
  readonly root: string;
  readonly runRoot: string;
  /** `containers-storage:[driver@root+runroot]name`. */
  reference(name: string): string;
  /** Runs podman on it; returns its standard output. */
  podman(...args: string[]): Promise<string>;
}

/**
 * Makes an empty containers-storage.
 *
 * @param driver `vfs`, unless told.
 * @returns The storage; `await using` removes it, with its mounts.
 */
export async function containerStorage(
  driver: "overlay" | "vfs" = "vfs",
): Promise<ContainerStorage> {
  const dir = await tempDir();
  const root = dir.join("root");
  const runRoot = dir.join("run");
  const flags = ["--root", root, "--runroot", runRoot, "--storage-driver", driver];
  return {
    driver,
    root,
    runRoot,
    reference: (name) => `containers-storage:[${driver}@${root}+${runRoot}]${name}`,
    podman: (...args) => run("podman", [...flags, "--tmpdir", dir.join("tmp"), ...args]),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}
