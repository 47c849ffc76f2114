import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { type ContainerStorage, containerStorage } from "./container_storage.ts";

/** What speaks as a docker daemon: podman, with a storage of its own. */
export interface DockerDaemon extends AsyncDisposable {
  /** Where it listens, `unix:///…`. */
  readonly host: string;
  /** Its storage. */
  readonly storage: ContainerStorage;
}

/**
 * Starts a daemon without images.
 *
 * @returns The daemon, which listens; `await using` ends it.
 */
export async function dockerDaemon(): Promise<DockerDaemon> {
  await using resources = new AsyncDisposableStack();
  const storage = resources.use(await containerStorage());
  const path = join(storage.root, "../docker.sock");
  const flags = ["--root", storage.root, "--runroot", storage.runRoot, "--storage-driver", "vfs"];
  const child = new Deno.Command("podman", {
    args: [...flags, "system", "service", "--time=0", `unix://${path}`],
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  let isOver = false;
  child.status.then(() => isOver = true);
  resources.defer(async () => {
    if (!isOver) child.kill("SIGTERM");
    await child.status;
  });
  for (;;) {
    try {
      (await Deno.connect({ transport: "unix", path })).close();
      break;
    } catch (error) {
      if (isOver) throw error;
      await delay(5);
    }
  }
  const all = resources.move();
  return {
    host: `unix://${path}`,
    storage,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
