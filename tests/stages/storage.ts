import * as v from "valibot";
import { run, tempDir } from "../support/mod.ts";

/** A storage that a stage has made, as podman sees it. */
export interface OpenStorage extends AsyncDisposable {
  /** Runs podman on it; returns its standard output. */
  podman(...args: string[]): Promise<string>;
  /** The id of each image, by name. */
  images(): Promise<Record<string, string>>;
  /** Mounts an image; returns where. */
  mount(name: string): Promise<string>;
}

const ImagesSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.array(v.object({ Id: v.string(), Names: v.array(v.string()) })),
);

/**
 * Opens a copy of a storage, as podman writes into what it opens.
 *
 * @param root Its folder.
 * @param driver Its driver.
 * @param flags More flags for podman.
 * @returns The storage; `await using` removes the copy, with its mounts.
 */
export async function openStorage(
  root: string,
  driver: "overlay" | "vfs",
  ...flags: string[]
): Promise<OpenStorage> {
  const dir = await tempDir();
  await run("cp", ["-a", "--", root, dir.join("root")]);
  const podman = (...args: string[]) =>
    run("podman", [
      ...["--root", dir.join("root"), "--runroot", dir.join("run"), "--tmpdir", dir.join("tmp")],
      ...["--storage-driver", driver, ...flags, ...args],
    ]);
  return {
    podman,
    async images() {
      const listed = v.parse(ImagesSchema, await podman("images", "--format", "json"));
      const named = listed.flatMap(({ Id, Names }) =>
        Names.map((name) => [name, `sha256:${Id}`] as const)
      );
      return Object.fromEntries(named);
    },
    mount: async (name) => (await podman("image", "mount", name)).trim(),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}
