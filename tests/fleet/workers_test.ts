import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { exists } from "@std/fs/exists";
import { describe, it } from "@std/testing/bdd";
import {
  type Cache,
  type Config,
  defineConfig,
  docker,
  exec,
  images,
  InterruptedError,
  type NoticeEvent,
  QueueError,
  RunError,
  runWorker,
  stowage,
  type StowageEvent,
  type StowageOptions,
  unpack,
  UsageError,
  type WorkerEvent,
  type WorkerOptions,
  type Workers,
} from "@stowage/stowage";
import { JobQueue } from "../../src/fleet/workers/queue.ts";
import { prefixFor } from "../../src/fleet/workers/routes.ts";
import { fixture } from "../support/fixture.ts";
import { makeTls } from "../support/tls.ts";
import {
  denoProgram,
  fileLayer,
  type Postgres,
  pushImage,
  randomLayer,
  type Redis,
  startPostgres,
  startRedis,
} from "../support/mod.ts";

const { dir, registry, proxy } = await fixture({ registry: true });
const base = await randomLayer({ size: 2 ** 20 });
const imageOf = async (name: string) =>
  await pushImage(registry, `apps/${name}:1`, {
    layers: [base, await fileLayer({ "etc/name": name })],
    platform: "linux/amd64",
  });
const NAMES = ["alpha", "beta", "gamma", "delta"];
const apps = Object.fromEntries(
  await Promise.all(NAMES.map(async (name) => [name, await imageOf(name)] as const)),
);

/** What was told, and what is waited for. */
class Tape {
  readonly events: StowageEvent[] = [];
  readonly #waiting = new Set<(event: StowageEvent) => void>();

  readonly onEvent = (event: StowageEvent): void => {
    this.events.push(event);
    for (const take of this.#waiting) take(event);
  };

  /** Waits until something was told. */
  until(isIt: (event: StowageEvent) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const take = (event: StowageEvent) => {
        if (!isIt(event)) return;
        this.#waiting.delete(take);
        resolve();
      };
      this.#waiting.add(take);
      for (const event of this.events) take(event);
    });
  }

  /** The workers that have begun an item, in order. */
  begun(key: string): string[] {
    return this.events.flatMap((event) => isOf("begun", key)(event) ? [event.worker ?? ""] : []);
  }

  /** Those that have told a notice; nothing where it was the client. */
  told(code: NoticeEvent["code"]): (string | undefined)[] {
    return this.events.flatMap((event) => isNotice(code)(event) ? [event.worker] : []);
  }
}
const isOf = (status: WorkerEvent["status"], key?: string) => (event: StowageEvent) =>
  event.type === "worker" && event.status === status && (key ?? event.key) === event.key;
const isNotice = (code: NoticeEvent["code"]) => (event: StowageEvent) =>
  event.type === "notice" && event.code === code;

let caches = 0;
/** A queue and a cache of their own, and machines that use them. */
async function fleet<Queue extends Redis | Postgres>(start: () => Promise<Queue>) {
  await using resources = new AsyncDisposableStack();
  const database = resources.use(await start());
  const repository = `${registry.host}/cache/of-${caches++}`;
  const cache = (mode: "read" | "write"): Cache => ({ repository, tlsVerify: false, mode });
  const limits = { root: dir.path, platform: "linux/amd64", retryDelay: 0 };
  const owned = resources.move();
  return {
    database,
    repository,
    async start(name: string, options: Partial<WorkerOptions> = {}) {
      const controller = new AbortController();
      const tape = new Tape();
      const ended = runWorker({
        ...limits,
        ...{ queue: database.url, name, store: dir.join(name), lease: 2000 },
        cache: [cache("write")],
        onEvent: tape.onEvent,
        signal: controller.signal,
        ...options,
      });
      await Promise.race([tape.until(isOf("waiting")), ended]);
      const stop = async () => {
        controller.abort();
        return await ended;
      };
      return { tape, stop, [Symbol.asyncDispose]: async () => void await stop() };
    },
    /** Starts a worker that dies of an item, and waits for that. */
    async die(key: string, times: number, jobs = 1) {
      await Deno.mkdir(dir.join("deaths"), { recursive: true });
      const options = { ...limits, queue: database.url, name: "dying", lease: 1000, jobs };
      const own = { ...options, store: dir.join("dying"), cache: [cache("write")] };
      const script = import.meta.resolve("./dying_worker.ts");
      const told = [key, String(times), dir.join("deaths"), JSON.stringify(own)];
      const [program, args] = denoProgram(script, ...told);
      const { signal } = await new Deno.Command(program, { args, stdin: "null" }).output();
      assertEquals(signal, "SIGKILL");
    },
    client(config: Config, more: Partial<Workers> = {}, others: StowageOptions = {}) {
      const tape = new Tape();
      const options = { on: { queue: database.url, poll: 500, ...more }, onEvent: tape.onEvent };
      const store = dir.join(`client-${caches++}`);
      const own = stowage(config, { ...limits, store, cache: [cache("read")], ...others });
      return { ...own, options, tape };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const from = (name: string, options = {}) =>
  docker(`${proxy.host}/apps/${name}:1`, { tlsVerify: false, ...options });
const sources = (names = NAMES) => Object.fromEntries(names.map((name) => [name, from(name)]));

const failuresOf = (error: unknown) => {
  assert(error instanceof RunError);
  return Object.fromEntries(
    Object.entries(error.failures).map(([key, { code }]) => [key, code]),
  );
};

/** A job that kills whoever does it fails alone, by its name. */
async function poison(start: () => Promise<Redis | Postgres>): Promise<void> {
  await using own = await fleet(start);
  const { fetch, options } = own.client({ sources: sources() });
  const fetching = assertRejects(() => fetch(options), RunError);
  // Which of several jobs the first has died of, nobody knows.
  for (let deaths = 0; deaths < 4; deaths++) await own.die("source/beta", 4, 4);
  await using _last = await own.start("last");
  const error = await fetching;
  assertEquals(failuresOf(error), { "source/beta": "WORKER_LOST" });
  assertStringIncludes(error.message, '"beta"');
  assertObjectMatch(error.result, { images: [{ name: "alpha" }, { name: "gamma" }, {}] });
}

describe("workers", () => {
  it("fetch images into the cache, from which the client has them", async () => {
    await using own = await fleet(startRedis);
    await using _one = await own.start("one");
    await using _two = await own.start("two");
    const { fetch, options, tape } = own.client({ sources: sources() });
    const result = await fetch(options);
    assertEquals(
      result.images.map(({ name, id }) => [name, id]),
      NAMES.map((name) => [name, apps[name]?.id]),
    );
    assert(result.images.every(({ from }) => from?.includes(own.repository)));
    const seen = tape.events.filter((event) =>
      event.type === "image" && event.worker !== undefined
    );
    assertEquals(seen.length, NAMES.length);
    const blobs = proxy.requests.filter(({ method, path }) =>
      method === "GET" && path.includes(base.digest)
    );
    assertEquals(blobs.length, 1, "a layer that images share comes once from their registry");
  });

  it("are not needed for what is in the cache, and may leave all of it there", async () => {
    await using own = await fleet(startRedis);
    const first = own.client({ sources: sources() });
    {
      await using _one = await own.start("one");
      const { images, cached } = await first.fetch({
        ...first.options,
        on: { ...first.options.on, cacheOnly: true },
      });
      assertEquals([images, cached], [[], NAMES.map((name) => `source/${name}`)]);
    }
    const path = own.repository.slice(own.repository.indexOf("/"));
    const { tags } = await (await registry.fetch(`/v2${path}/tags/list`)).json();
    const uses = tags.filter((tag: string) => tag.startsWith("used-"));
    assertEquals(uses.length, 1, "a worker tells once what a run has used");
    const { fetch, options } = own.client({ sources: sources() });
    const { images } = await fetch(options);
    assert(images.every(({ from }) => from?.includes(own.repository)));
  });

  it("that are killed leave their jobs to others", async () => {
    await using own = await fleet(startRedis);
    const { fetch, options, tape } = own.client({ sources: sources() });
    const fetching = fetch(options);
    await own.die("source/beta", 1);
    await using _heir = await own.start("heir");
    assertEquals((await fetching).images.length, NAMES.length);
    assertEquals(tape.begun("source/beta").at(-1), "heir");
  });

  it("are not sent a job again of which three have died alone, and do the others", () =>
    poison(startRedis));

  it("try again what is absent, and not what is wrong", async () => {
    await using own = await fleet(startRedis);
    const pins = (name: string) => ({ digest: apps[name]?.digest ?? "" });
    const { fetch, options, tape } = own.client(
      {
        sources: { alpha: from("alpha", pins("alpha")), beta: from("beta", pins("beta")) },
      },
      {},
      { attempts: 20, retryDelay: 20 },
    );
    const fetching = assertRejects(() => fetch(options), RunError);
    await tape.until(isNotice("NO_WORKER"));
    const top = apps["beta"]?.layers.at(-1)?.digest ?? "";
    proxy.rules.push(
      { match: /alpha\/manifests\//, fault: { status: 404 } },
      { match: new RegExp(`GET .*beta/blobs/${top}`), fault: { flipBit: 100 } },
    );
    await using _one = await own.start("one");
    await tape.until((event) => event.type === "retry" && event.worker === "one");
    proxy.rules.shift();
    const error = await fetching;
    assertEquals(failuresOf(error), { "source/beta": "CONTENT_MISMATCH" });
    assertEquals(tape.begun("source/beta").length, 1);
    assert(tape.begun("source/alpha").length > 1);
    assertObjectMatch(error.toJSON(), { failures: { "source/beta": { worker: "one" } } });
  });

  it("stop when the client is interrupted", async () => {
    await using own = await fleet(startRedis);
    await using one = await own.start("one", { jobs: 1 });
    proxy.rules.push({ match: /^GET .*\/blobs\//, fault: "hang" });
    const { fetch, options, tape } = own.client({ sources: sources() });
    const controller = new AbortController();
    const fetching = assertRejects(
      () => fetch({ ...options, signal: controller.signal }),
      InterruptedError,
    );
    await tape.until(isOf("begun"));
    controller.abort();
    await fetching;
    await one.tape.until(isOf("failed"));
    proxy.rules.pop();
    const again = own.client({ sources: sources(["alpha"]) });
    assertEquals((await again.fetch(again.options)).images.length, 1);
    const done = one.tape.events.filter(isOf("done"));
    assertEquals(done.length, 1, "no other job of the run was left");
  });

  it("that are ended give back their jobs", async () => {
    await using own = await fleet(startRedis);
    const one = await own.start("one", { lease: 60_000 });
    proxy.rules.push({ match: /^GET .*\/blobs\//, fault: "hang" });
    const { fetch, options, tape } = own.client({ sources: sources(["alpha"]) });
    const fetching = fetch(options);
    await tape.until(isOf("begun"));
    assertEquals(await one.stop().then(({ done, failed }) => [done, failed]), [0, 0]);
    proxy.rules.pop();
    await using _two = await own.start("two", { lease: 60_000 });
    assertEquals((await fetching).images.length, 1);
    assertEquals(tape.begun("source/alpha"), ["one", "two"]);
  });

  it("go on when the queue was killed, and has lost all that it had", async () => {
    await using own = await fleet(startRedis);
    await using _one = await own.start("one", { jobs: 1 });
    const { fetch, options, tape } = own.client({ sources: sources() });
    const fetching = fetch(options);
    await tape.until(isOf("begun"));
    await own.database.kill();
    await own.database.start();
    assertEquals((await fetching).images.length, NAMES.length);
    assertEquals(new Set(tape.told("QUEUE_AWAY")), new Set([undefined]));
  });

  it("of other versions never see the jobs, and no secret is in the queue", async () => {
    await using own = await fleet(startRedis);
    const prefix = prefixFor(own.repository);
    const seen: string[] = [];
    await using other = await JobQueue.open(
      own.database.url,
      prefix.replace(/^stowage-\d+/, "stowage-99"),
      () => {},
    );
    const how = { worker: "other", jobs: 1, lease: 2000 };
    await other.take("fetch", how, ({ text }) => {
      seen.push(text);
      return Promise.resolve({ status: "done", text });
    });
    await Deno.writeTextFile(dir.join("hidden-auth.json"), '{ "auths": {} }');
    const options = { authFile: "hidden-auth.json" };
    const client = own.client({
      registries: { "registry.acme.io": options },
      sources: { alpha: from("alpha", options) },
    });
    const fetching = client.fetch(client.options);
    await client.tape.until(isNotice("NO_WORKER"));
    const dump = new TextDecoder("latin1").decode(await own.database.dump());
    assert(dump.includes("apps/alpha:1") && dump.includes("registry.acme.io"));
    assert(!dump.includes("hidden-auth"));
    await using _one = await own.start("one");
    await fetching;
    assertEquals(seen, []);
  });

  it("say how to name the authority of a queue with TLS", async () => {
    const { cert, key } = await makeTls(dir.path);
    const [certPem, keyPem] = await Promise.all([cert, key].map((at) => Deno.readTextFile(at)));
    using listener = Deno.listenTls({
      ...{ hostname: "127.0.0.1", port: 0 },
      ...{ cert: certPem ?? "", key: keyPem ?? "" },
    });
    const refused = (async () => {
      using connection = await listener.accept();
      await connection.handshake().catch(() => {});
    })();
    const url = `rediss://127.0.0.1:${listener.addr.port}`;
    const error = await assertRejects(() => JobQueue.open(url, "any", () => {}), QueueError);
    assertStringIncludes(error.hint ?? "", "NODE_EXTRA_CA_CERTS");
    await refused;
  });

  it("all wait when a registry has asked one of them to", async () => {
    await using own = await fleet(startRedis);
    // Jobs last longer than the lease, which is renewed.
    await using _one = await own.start("one", { jobs: 1, lease: 1500 });
    await using _two = await own.start("two", { jobs: 1, lease: 1500 });
    const top = (name: string) => apps[name]?.layers.at(-1)?.digest ?? "";
    const fault = { status: 429, headers: { "retry-after": "2" } };
    // The images wait for each other, as they share a layer: there is one that does not.
    const alone = await pushImage(registry, "apps/alone:1", {
      layers: [await fileLayer({ "etc/name": "alone" })],
      platform: "linux/amd64",
    });
    proxy.rules.push({ match: new RegExp(`GET .*${top("alpha")}`), times: 1, fault });
    const { fetch, options, tape } = own.client({ sources: sources(["alpha", "alone"]) });
    const { images: [, other] } = await fetch(options);
    assertEquals(other?.id, alone.id);
    assertEquals(new Set(tape.told("REGISTRY_BUSY")), new Set(["one", "two"]));
    assertEquals(tape.begun("source/alpha").length, 1);
  });
});

describe("workers on PostgreSQL", () => {
  it("do the same, also when one is killed", async () => {
    await using own = await fleet(startPostgres);
    const { fetch, options, tape } = own.client({ sources: sources() });
    const fetching = fetch(options);
    await own.die("source/beta", 1);
    await using _heir = await own.start("heir");
    const { images } = await fetching;
    assert(images.length === NAMES.length && images.every(({ from }) => from?.includes("cache")));
    assertEquals(tape.begun("source/beta").at(-1), "heir");
  });

  it("are not sent a job again of which three have died alone", () => poison(startPostgres));

  it("stop when the client is interrupted, and go on when the queue was killed", async () => {
    await using own = await fleet(startPostgres);
    await using one = await own.start("one", { jobs: 1 });
    proxy.rules.push({ match: /^GET .*\/blobs\//, fault: "hang" });
    const first = own.client({ sources: sources() });
    const controller = new AbortController();
    const fetching = assertRejects(
      () => first.fetch({ ...first.options, signal: controller.signal }),
      InterruptedError,
    );
    await first.tape.until(isOf("begun"));
    controller.abort();
    await fetching;
    await one.tape.until(isOf("failed"));
    proxy.rules.pop();
    const again = own.client({ sources: sources() });
    const refetching = again.fetch(again.options);
    await again.tape.until(isOf("begun"));
    await own.database.kill();
    await own.database.start();
    assertEquals((await refetching).images.length, NAMES.length);
  });
});

describe("stages on workers", () => {
  const config = () =>
    defineConfig({
      sources: { alpha: from("alpha") },
      inputs: { apps: images({ alpha: "localhost/alpha:1" }) },
      stages: {
        plain: unpack({ inputs: ["apps"] }),
        made: exec({ on: "plain", command: ["sh", "-c", "echo made > made"] }),
      },
    });

  it("run where they can, signed", async () => {
    await using own = await fleet(startRedis);
    await Deno.writeTextFile(dir.join("queue.key"), "k".repeat(32));
    const key = { queueKey: dir.join("queue.key") };
    await using _plain = await own.start("plain", key);
    await using _able = await own.start("able", { ...key, can: ["exec", "install"] });
    const { build, options, tape } = own.client(config(), key);
    const { stages, out } = await build({ ...options, out: dir.join("out") });
    assertEquals(stages.map(({ name, status }) => [name, status]), [
      ["plain", "cached"],
      ["made", "cached"],
    ]);
    assertEquals(await Deno.readTextFile(`${out["made"]}/made`), "made\n");
    assertEquals(tape.begun("stage/made"), ["able"]);
  });

  it("run no commands without a key, or with another one", async () => {
    await using own = await fleet(startRedis);
    for (const name of ["one", "other"]) {
      await Deno.writeTextFile(dir.join(`${name}.key`), name.repeat(16));
    }
    const [key, other] = ["one", "other"].map((name) => ({ queueKey: dir.join(`${name}.key`) }));
    const open = own.client(config());
    await assertRejects(() => open.build(open.options), UsageError, "without a key");
    await assertRejects(() => own.start("open", { can: ["exec"] }), UsageError, "of anybody");
    await using _able = await own.start("able", { ...key, can: ["exec"] });
    const wrong = own.client(config(), other);
    const error = await assertRejects(() => wrong.build(wrong.options), RunError);
    assertEquals(failuresOf(error), { "source/alpha": "QUEUE_FAILED" });
    assertEquals(await exists(dir.join("able/trees")), false);
  });
});
