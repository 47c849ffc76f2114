import { run } from "./run.ts";
import { tempDir } from "./temp_dir.ts";

/** A file system of its own, small enough to fill. */
export interface SmallFs extends AsyncDisposable {
  readonly path: string;
  /** Makes it read-only, or writable again, or of another size, or limits its files and folders. */
  remount(option: "ro" | "rw" | `size=${string}` | `nr_inodes=${number}`): Promise<void>;
}

/** How to mount it. */
export interface SmallFsOptions {
  /** Mount it read-only; `remount("rw")` opens it. */
  readonly readOnly?: boolean;
}

/**
 * Mounts a tmpfs on a temporary folder.
 *
 * @param size As mount(8) has it: `16m`.
 * @param options Whether it is read-only.
 * @returns The file system; `await using` unmounts it.
 */
export async function smallFs(size: string, options: SmallFsOptions = {}): Promise<SmallFs> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const path = dir.join("mount");
  await Deno.mkdir(path);
  const mode = options.readOnly ? "ro" : "rw";
  await run("mount", ["-t", "tmpfs", "-o", `size=${size},mode=755,${mode}`, "tmpfs", path]);
  const owned = resources.move();
  return {
    path,
    async remount(option) {
      await run("mount", ["-o", `remount,${option}`, path]);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
