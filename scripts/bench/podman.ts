import { run } from "../../tests/support/mod.ts";
import { type Folder, remove } from "./folder.ts";
import type { Program } from "./measure.ts";

/** A storage of podman's, apart from the machine's. */
export interface PodmanStorage {
  /** `overlay`, or `vfs` where that is all that works. */
  readonly driver: string;
  /** The folder of its images. */
  readonly root: string;
  /** podman on it, as a program to measure. */
  program(...args: string[]): Program;
  /** Empties it. */
  clear(): Promise<void>;
}

/**
 * Makes a storage for podman.
 *
 * @param dir For its files.
 * @returns The storage; nothing where there is no podman.
 * @throws {Error} If there is one that does not work.
 */
export async function podmanStorage(dir: Folder): Promise<PodmanStorage | undefined> {
  let why: unknown;
  for (const driver of ["overlay", "vfs"]) {
    const storage = openStorage(dir, driver);
    const { path, args } = storage.program("info");
    try {
      await run(path, args);
      return storage;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      why = error;
    } finally {
      await storage.clear();
    }
  }
  throw new Error("podman is here, but works with no driver", { cause: why });
}

function openStorage(dir: Folder, driver: string): PodmanStorage {
  const [root, runRoot] = [dir.join("podman"), dir.join("run")]; // of 50 characters at most
  const flags = ["--root", root, "--runroot", runRoot, "--tmpdir", dir.join("podman-tmp")];
  return {
    driver,
    root,
    program: (...args) => ({
      path: "podman",
      args: [...flags, "--storage-driver", driver, ...args],
    }),
    async clear() {
      // The overlay driver mounts its folder over itself, and leaves it so.
      await run("umount", ["--lazy", `${root}/overlay`]).catch(() => {});
      for (const path of [root, runRoot]) await remove(path);
    },
  };
}
