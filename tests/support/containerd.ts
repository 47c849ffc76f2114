import { delay } from "@std/async/delay";
import { run } from "./run.ts";
import { tempDir } from "./temp_dir.ts";

/** A containerd of its own. */
export interface Containerd extends AsyncDisposable {
  /** Its command line, as a shell is told it. */
  readonly command: string;
  /** Asks it; returns what it says. */
  ctr(...args: string[]): Promise<string>;
}

/**
 * Starts containerd without images.
 *
 * @returns It, which listens; `await using` ends it.
 */
export async function startContainerd(): Promise<Containerd> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const socket = dir.join("sock");
  const config = `version = 2
root = "${dir.join("root")}"
state = "${dir.join("state")}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${socket}"
[ttrpc]
address = "${dir.join("ttrpc")}"
[plugins."io.containerd.internal.v1.opt"]
path = "${dir.join("opt")}"
`;
  await Deno.writeTextFile(dir.join("config.toml"), config);
  const child = new Deno.Command("containerd", {
    args: ["--config", dir.join("config.toml")],
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  let isOver = false;
  child.status.then(() => isOver = true);
  resources.defer(async () => {
    if (!isOver) child.kill("SIGTERM");
    await child.status;
  });
  const ctr = (...args: string[]) => run("ctr", ["--address", socket, ...args]);
  for (;;) {
    const answers = await ctr("version").then(() => true, () => false);
    if (answers) break;
    if (isOver) throw new Error("containerd does not start");
    await delay(20);
  }
  const owned = resources.move();
  return {
    command: `ctr --address ${socket} --namespace default`,
    ctr,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
