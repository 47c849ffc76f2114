// deno-lint-ignore-file no-console
/**
 * Shows what workers do: synthetic images, many on one base, are fetched into a cache, while workers
 * are killed: `deno run -A scripts/fleet.ts [--images N] [--workers N,…] [--kill SECONDS]
 * [--kills-only]`.
 *
 * Bytes and requests are those that pass a proxy before each registry. A worker that is killed is
 * started again at once, with its disk. Commands are those that Redis has done.
 */

import { pooledMap } from "@std/async/pool";
import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl } from "@std/path";
import { docker } from "@stowage/stowage";
import {
  type FaultProxy,
  fileLayer,
  type PushedImage,
  pushImage,
  randomLayer,
  startFaultProxy,
  startPostgres,
  startRedis,
  startRegistry,
  tempDir,
} from "../tests/support/mod.ts";

const STOWAGE = fromFileUrl(new URL("stowage", import.meta.url));
const flags = parseArgs(Deno.args, {
  string: ["images", "bases", "workers", "kill", "queue"],
  boolean: ["kills-only"],
  default: { images: "200", bases: "10", workers: "2", kill: "10", queue: "redis" },
});
const [count, bases, every] = [flags.images, flags.bases, flags.kill]
  .map(Number) as [number, number, number];

await using dir = await tempDir();
await using registry = await startRegistry();
await using store = await startRegistry();
await using origin = await startFaultProxy(registry);
await using shared = await startFaultProxy(store);
await using queue = await (flags.queue === "postgres" ? startPostgres() : startRedis());

const layers = await Promise.all(
  Array.from({ length: bases }, (_, seed) => randomLayer({ size: 2 ** 20, seed })),
);
/** Processes that run now. */
const pids = new Set<number>();
/** Sums up what processes, and programs that they have waited for, use of processors. */
class Clock {
  /** In ms, by process. */
  readonly #used = new Map<number, number>();
  readonly #timer = setInterval(() => this.#look(), 250);

  stop(): number {
    clearInterval(this.#timer);
    pids.clear();
    return [...this.#used.values()].reduce((sum, each) => sum + each, 0);
  }

  /** proc(5): a process has fields 14 to 17 in ticks of 10 ms. */
  #look(): void {
    for (const pid of pids) {
      Deno.readTextFile(`/proc/${pid}/stat`).then((stat) => {
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 15);
        this.#used.set(pid, fields.reduce((sum, field) => sum + Number(field) * 10, 0));
      }).catch(() => pids.delete(pid)); // it has ended
    }
  }
}

const numbers = Array.from({ length: count }, (_, at) => at);
const images: PushedImage[] = await Array.fromAsync(pooledMap(4, numbers, async (at) => {
  const base = layers[at % bases];
  const own = await randomLayer({ size: 2 ** 16, seed: bases + at });
  const name = await fileLayer({ "etc/name": `app-${at}` });
  return await pushImage(registry, `apps/app-${at}:1`, {
    layers: [...base ? [base] : [], own, name],
    platform: "linux/amd64",
  });
}));
const blobs = new Map(
  images.flatMap(({ layers }) => layers.map((each) => [each.digest, each.size])),
);
const configs = images.reduce(
  (sum, { size, layers }) => sum + size - layers.reduce((sum, { size }) => sum + size, 0),
  0,
);
const unique = [...blobs.values()].reduce((sum, size) => sum + size, configs);
await Deno.writeTextFile(
  dir.join("images.config.json"),
  JSON.stringify({
    sources: Object.fromEntries(images.map(({ digest }, at) => [
      `app-${at}`,
      docker(`${origin.host}/apps/app-${at}`, { digest, tlsVerify: false }),
    ])),
  }),
);
console.log(`${count} images on ${bases} bases, ${mib(unique)} of blobs that differ`);

const isWhole = !flags["kills-only"];
const one = isWhole &&
  await measure(
    "one process",
    "one",
    (cache) => stowage("alone", ["fetch", "--cache", `${cache},write`]),
  );
if (isWhole) {
  await measure(
    "one process, empty disk, full cache",
    "one",
    (cache) => stowage("again", ["fetch", "--cache", cache]),
  );
  await measure("one process, empty disk, no cache", "none", () => stowage("bare", ["fetch"]));
}
for (const workers of flags.workers.split(",").map(Number)) {
  if (one) {
    const fleet = await measure(
      `${workers} workers`,
      `fleet-${workers}`,
      (cache) => onWorkers(cache, workers, 0),
    );
    const overhead = (fleet.cpu - one.cpu) / count;
    console.log(`  overhead a job: ${overhead.toFixed(0)} ms of a processor`);
  }
  if (every === 0) continue;
  const { cache } = await measure(
    `${workers} workers, one killed every ${every} s`,
    `killed-${workers}`,
    (cache) => onWorkers(cache, workers, every),
  );
  await check(cache);
}

interface Measured {
  /** What it and its programs have used of processors, in ms. */
  readonly cpu: number;
  readonly cache: string;
}

async function measure(
  what: string,
  name: string,
  run: (cache: string) => Promise<string>,
): Promise<Measured> {
  const cache = `${shared.host}/cache/${name}`;
  const before = [origin, shared].map(({ requests }) => requests.length);
  const start = performance.now();
  const clock = new Clock();
  const told = await run(cache);
  const cpu = clock.stop();
  const ms = performance.now() - start;
  const [from, to] = [origin, shared].map((proxy, at) => since(proxy, before[at] ?? 0));
  console.log(
    `${what}: ${(ms / 1000).toFixed(1)} s, ${(cpu / 1000).toFixed(1)} s of processors; ${
      mib(from?.bytes ?? 0)
    } of blobs from their registry ` +
      `(${
        ((from?.bytes ?? 0) / unique).toFixed(3)
      } of what differs) in ${from?.requests} requests; ` +
      `${to?.requests} requests to the cache${told}`,
  );
  return { cpu, cache };
}

function since({ requests }: FaultProxy, at: number) {
  const own = requests.slice(at);
  const bytes = own.filter(({ method, path }) => method === "GET" && path.includes("/blobs/"))
    .reduce((sum, { bytes }) => sum + bytes, 0);
  return { requests: own.length, bytes };
}

async function onWorkers(cache: string, workers: number, every: number): Promise<string> {
  const names = Array.from({ length: workers }, (_, at) => `worker-${at + 1}`);
  const commands = await doneByRedis();
  const start = (name: string) =>
    spawn(name, ["worker", "--name", name, "--lease", "5", "--cache", `${cache},write`]);
  const running = names.map((name) => ({ name, process: start(name) }));
  let kills = 0;
  const timer = every > 0
    ? setInterval(() => {
      const victim = running[kills++ % running.length];
      if (!victim) return;
      victim.process.kill("SIGKILL");
      victim.process = start(victim.name);
    }, every * 1000)
    : undefined;
  let client;
  try {
    client = await stowage("client", ["fetch", "--cache-only", "--cache", cache]);
  } finally {
    clearInterval(timer);
    for (const { process } of running) process.kill("SIGTERM");
    await Promise.all(running.map(({ process }) => process.status));
    await Promise.all(names.map((name) => Deno.remove(dir.join(name), { recursive: true })));
  }
  const queue = commands === undefined ? "" : `; ${await doneByRedis(commands)}`;
  return `${client}${queue}${every > 0 ? `; ${kills} killed` : ""}`;
}

/** How many commands Redis has done since, and the most that it had in memory. */
async function doneByRedis(): Promise<number | undefined>;
async function doneByRedis(since: number): Promise<string>;
async function doneByRedis(since?: number): Promise<number | string | undefined> {
  const { pathname, protocol } = new URL(queue.url);
  if (protocol !== "redis:") return undefined;
  const args = ["-s", decodeURIComponent(pathname), "info"];
  const { stdout } = await new Deno.Command("redis-cli", { args }).output();
  const info = new TextDecoder().decode(stdout);
  const valueOf = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
  const done = valueOf("total_commands_processed");
  if (since === undefined) return done;
  return `${done - since} commands of the queue, which had ${mib(valueOf("used_memory_peak"))}`;
}

/** Every image is in the cache, and was put there once. */
async function check(cache: string): Promise<void> {
  const path = cache.slice(cache.indexOf("/") + 1);
  const puts = shared.requests.filter(({ method, path: at, status }) =>
    method === "PUT" && at.startsWith(`/v2/${path}/manifests/id-`) && status < 300
  );
  const headers = { accept: [...new Set(images.map(({ mediaType }) => mediaType))].join(", ") };
  const missing = await Promise.all(images.map(async ({ id }) => {
    const tag = id.replace("sha256:", "id-");
    return await store.statusOf(`/v2/${path}/manifests/${tag}`, { method: "HEAD", headers }) === 200
      ? 0
      : 1;
  }));
  const absent = missing.reduce<number>((sum, each) => sum + each, 0);
  console.log(
    `  ${count - absent} of ${count} images are in the cache, put there ${puts.length} times`,
  );
  if (absent > 0) Deno.exit(1);
}

function spawn(
  name: string,
  [command = "", ...args]: readonly string[],
  stdout: "null" | "piped" = "null",
): Deno.ChildProcess {
  const isOn = command === "worker" ? "--queue" : "--on";
  const isFleet = command === "worker" || name === "client";
  const process = new Deno.Command("sh", {
    args: [
      ...[STOWAGE, command, "--store", dir.join(name), "--json"],
      ...(args.includes("--cache") ? ["--tls-verify=false"] : []),
      ...(isFleet ? [isOn, queue.url] : []),
      ...args,
    ],
    cwd: dir.path,
    stdin: "null",
    stdout,
  }).spawn();
  pids.add(process.pid);
  return process;
}

async function stowage(name: string, args: readonly string[]): Promise<string> {
  const process = spawn(name, args, "piped");
  let memory = 0;
  const timer = setInterval(async () => {
    const status = await Deno.readTextFile(`/proc/${process.pid}/status`).catch(() => "");
    memory = Math.max(memory, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
  }, 500);
  const { code, stdout } = await process.output();
  clearInterval(timer);
  if (code !== 0) {
    const last = new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1);
    throw new Error(`stowage ${args.join(" ")} ended with ${code}: ${last}`);
  }
  await Deno.remove(dir.join(name), { recursive: true });
  return `; ${mib(memory * 1024)} of memory`;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
