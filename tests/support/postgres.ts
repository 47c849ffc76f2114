import { run } from "./run.ts";
import { tempDir } from "./temp_dir.ts";

/** A real PostgreSQL on a socket of its own. */
export interface Postgres extends AsyncDisposable {
  /** `postgres:///postgres?host=/FOLDER`. */
  readonly url: string;
  /** Ends it at once; connections are refused from now on. */
  kill(): Promise<void>;
  /** Starts it again, with what it had. */
  start(): Promise<void>;
}

/**
 * Starts a real PostgreSQL, which does not run as root.
 *
 * @returns The server, ready; `await using` ends it.
 *
 * @example Usage
 * ```ts ignore
 * await using postgres = await startPostgres();
 * await stowage(config, options).fetch({ on: { queue: postgres.url } });
 * ```
 */
export async function startPostgres(): Promise<Postgres> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const data = dir.join("data");
  await run("chown", ["postgres", dir.path]);
  const [bin = ""] =
    (await run("sh", ["-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n1"]))
      .split("\n");
  const as = (program: string, args: readonly string[]) =>
    run("setpriv", [
      ...["--reuid=postgres", "--regid=postgres", "--clear-groups", `${bin}/${program}`],
      ...args,
    ], { cwd: dir.path });
  await as("initdb", ["-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]);
  const start = async () => {
    const options = `-k ${dir.path} -h '' -F`;
    await as("pg_ctl", ["-D", data, "-o", options, "-l", dir.join("log"), "-w", "start"]);
  };
  const kill = async () => {
    await as("pg_ctl", ["-D", data, "-m", "immediate", "-w", "stop"]).catch(() => {});
  };
  await start();
  resources.defer(kill);
  const owned = resources.move();
  return {
    url: `postgres://postgres@/postgres?host=${encodeURIComponent(dir.path)}`,
    kill,
    start,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
