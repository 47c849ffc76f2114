import { tempDir } from "./temp_dir.ts";

/** A real Redis on a socket of its own. */
export interface Redis extends AsyncDisposable {
  /** `redis:///PATH`. */
  readonly url: string;
  /** Ends it at once, with all that it has in memory; connections are refused from now on. */
  kill(): Promise<void>;
  /** Starts it again, on the same socket. */
  start(): Promise<void>;
  /** All that it has now, as it keeps it on disk. */
  dump(): Promise<Uint8Array>;
}

/**
 * Starts a real Redis; it keeps nothing on disk.
 *
 * @returns The server, ready; `await using` ends it.
 *
 * @example Usage
 * ```ts ignore
 * await using redis = await startRedis();
 * await stowage(config, options).fetch({ on: { queue: redis.url } });
 * ```
 */
export async function startRedis(): Promise<Redis> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const socket = dir.join("redis.sock");
  let child: Deno.ChildProcess | undefined;
  let log: Promise<void> | undefined;
  const kill = async () => {
    try {
      child?.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended by itself.
    }
    await child?.status;
    await log;
    child = undefined;
  };
  const start = async () => {
    child = new Deno.Command("redis-server", {
      args: [
        ...["--port", "0", "--unixsocket", socket, "--dir", dir.path],
        ...["--save", "", "--appendonly", "no", "--rdbcompression", "no", "--daemonize", "no"],
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    log = (async (lines: ReadableStream<Uint8Array>) => {
      let all = "";
      for await (const text of lines.pipeThrough(new TextDecoderStream())) {
        all += text;
        if (all.includes("ready to accept connections")) resolve();
      }
      reject(new Error(`"redis-server" did not start: ${all}`));
    })(child.stdout);
    await ready;
  };
  await start();
  resources.defer(kill);
  const owned = resources.move();
  return {
    url: `redis://${socket}`,
    kill,
    start,
    async dump() {
      const save = new Deno.Command("redis-cli", { args: ["-s", socket, "SAVE"], stdout: "null" });
      await save.output();
      return await Deno.readFile(dir.join("dump.rdb"));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
