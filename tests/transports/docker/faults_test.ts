import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import type { Reference } from "../../../config/reference.ts";
import { InterruptedError } from "../../../src/errors/mod.ts";
import type { RegistryClient } from "../../../src/transports/docker/client.ts";
import {
  NoRegistry,
  RangeRefused,
  Refused,
  RegistryError,
  Unserved,
} from "../../../src/transports/docker/errors.ts";
import { HostGate } from "../../../src/transports/docker/host_gate.ts";
import { fixture } from "../../support/fixture.ts";
import { pushImage, randomLayer, startFaultProxy } from "../../support/mod.ts";
import { clientWith, referenceTo } from "./fixture.ts";
import { startTokenServer } from "./token_server.ts";

const http = { tlsVerify: false };

const { registry, proxy } = await fixture({ registry: true });
const layer = await randomLayer({ size: 500_000 });
const image = await pushImage(registry, "team/app:1", { layers: [layer] });
const { digest, size } = layer;
let client: RegistryClient;
let app: Reference;

beforeEach(() => {
  client = clientWith();
  app = { ...referenceTo(image), domain: proxy.host };
});
afterEach(() => client[Symbol.dispose]());

async function failure(action: () => Promise<unknown>): Promise<RegistryError> {
  return await assertRejects(action, RegistryError);
}

const read = async (body: ReadableStream<Uint8Array<ArrayBuffer>>) =>
  await new Response(body).bytes();

describe("a registry that is ill", () => {
  it("may work in a moment after 503, a reset or a lost connection", async () => {
    await client.head(app, http);
    for (const fault of [{ status: 503 }, "reset", "refuse"] as const) {
      proxy.rules.push({ match: /manifests/, fault });
      const { reason, isTransient } = await failure(() => client.manifest(app, http));
      assertEquals([reason, isTransient], ["unreachable", true]);
      proxy.rules.pop();
      await client.manifest(app, http);
    }
  });

  it("is unreachable where nobody listens, for good where nobody knows its name", async () => {
    const domain = registry.host;
    await registry.stop();
    const refused = await failure(() => client.manifest({ ...app, domain }, http));
    await registry.start();
    assertEquals([refused.reason, refused.isTransient], ["unreachable", true]);
    const unknown = await failure(() =>
      client.manifest({ ...app, domain: "registry.invalid" }, {})
    );
    assertEquals([unknown.reason, unknown.isTransient], ["unreachable", false]);
  });

  it("that fails to say what a tag stands for may serve it, but not where it is to be left alone", async () => {
    const head = /^HEAD .*manifests/;
    for (const fault of [{ status: 501 }, { status: 500 }, "reset", "refuse"] as const) {
      proxy.rules.splice(0, 1, { match: head, fault });
      assertEquals(await client.head(app, http), undefined);
    }
    const { length } = proxy.requests;
    proxy.rules.splice(0, 1, { match: head, fault: { status: 429 } });
    assertEquals((await failure(() => client.head(app, http))).reason, "rate-limited");
    assertEquals(proxy.requests.length, length + 1);
  });

  it("gives a part of a blob to nobody: the whole is asked for, or may be", async () => {
    const isPart = ({ headers }: { headers: Readonly<Record<string, string>> }) =>
      headers["range"] !== undefined;
    for (const status of [400, 403, 404, 405]) {
      proxy.rules.splice(0, 1, { match: isPart, fault: { status } });
      const { offset, body } = await client.blob(app, digest, http, { offset: 4 });
      assertEquals([offset, (await read(body)).length], [0, size]);
    }
    for (const status of [500, 503]) {
      proxy.rules.splice(0, 1, { match: isPart, fault: { status } });
      const { isTransient } = await assertRejects(
        () => client.blob(app, digest, http, { offset: 4 }),
        RangeRefused,
      );
      assertEquals(isTransient, true);
    }
  });

  it("cuts a blob: the body says so, and the rest can be had", async () => {
    proxy.rules.push({ match: /blobs/, times: 1, fault: { cutAfter: 1000 } });
    const chunks: Uint8Array[] = [];
    const { body } = await client.blob(app, digest, http);
    const error = await failure(async () => {
      for await (const chunk of body) chunks.push(chunk);
    });
    assertEquals([error.reason, error.isTransient], ["unreachable", true]);
    assertEquals(chunks.reduce((sum, { length }) => sum + length, 0), 1000);
    const rest = await client.blob(app, digest, http, { offset: 1000 });
    assertEquals([rest.offset, (await read(rest.body)).length], [1000, size - 1000]);
  });

  it("stalls before it answers, and in the middle of a blob", async () => {
    using client = clientWith({ stallTimeout: 150 });
    await client.head(app, http);
    proxy.rules.push({ match: /manifests/, fault: "hang" });
    assertEquals((await failure(() => client.manifest(app, http))).reason, "stalled");
    // 1/20 of this many bytes at once, then 50 ms without a byte.
    proxy.rules.push({ match: /blobs/, times: 1, fault: { slow: 1 } });
    const { body } = await client.blob(app, digest, http);
    assertEquals((await failure(() => read(body))).reason, "stalled");
  });

  it("does not stall where the reader takes its time", async () => {
    using client = clientWith({ stallTimeout: 100 });
    const { body } = await client.blob(app, digest, http);
    const reader = body.getReader();
    let received = (await reader.read()).value?.length ?? 0;
    // What began later has stalled by then.
    proxy.rules.push({ match: /manifests/, fault: "hang" });
    assertEquals((await failure(() => client.manifest(app, http))).reason, "stalled");
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      received += value.length;
    }
    assertEquals(received, size);
  });

  it("is no registry where it answers with a page, or with more than a manifest", async () => {
    const page = (type: string) => ({
      status: 200,
      headers: { "content-type": type },
      body: "<p>log in</p>",
    });
    for (const type of ["text/html; charset=utf-8", "application/json", "", "x y"]) {
      proxy.rules.push({ match: /manifests/, times: 1, fault: page(type) });
      await assertRejects(() => client.manifest(app, http), NoRegistry, "in place of a manifest");
    }
    for (const left of ["", "Identity", "aws-chunked"]) {
      const headers = { "content-encoding": left, "content-type": image.mediaType };
      proxy.rules.push({
        match: /manifests/,
        times: 1,
        fault: { status: 200, headers, body: "x" },
      });
      assertEquals(new TextDecoder().decode(await client.manifest(app, http)), "x");
    }
    const headers = { "content-encoding": "gzip" };
    proxy.rules.push({ match: /manifests/, times: 1, fault: { status: 200, headers, body: "x" } });
    await assertRejects(() => client.manifest(app, http), Unserved, "encodes");
    const body = "x".repeat(4 * 2 ** 20 + 1);
    proxy.rules.push({ match: /manifests/, times: 1, fault: { body } });
    await assertRejects(() => client.manifest(app, http), Unserved, "more than");
  });

  it("says in an error no more than a code", async () => {
    const body = JSON.stringify({ errors: [{ code: "DENIED", message: "Bearer secret" }] });
    proxy.rules.push({ match: /manifests/, fault: { status: 403, body } });
    const error = await assertRejects(() => client.manifest(app, http), Unserved, "403 (DENIED)");
    assertEquals(Deno.inspect(error).includes("secret"), false);
  });
});

describe("a registry that asks to be left alone", () => {
  it("gets no request until then; others do", async () => {
    const told: [string, number][] = [];
    await using other = await startFaultProxy(registry);
    using client = clientWith({ onSlowDown: (...pause) => told.push(pause) });
    await client.head(app, http);
    await client.head({ ...app, domain: other.host }, http);
    const headers = { "retry-after": "1" };
    proxy.rules.push({ match: /manifests/, times: 1, fault: { status: 429, headers } });
    const start = performance.now();
    const error = await failure(() => client.head(app, http));
    assertEquals([error.reason, error.isTransient], ["rate-limited", true]);
    assertEquals(told, [[proxy.host, 1000]]);
    await client.head({ ...app, domain: other.host }, http);
    assert(performance.now() - start < 900, "another host was held back");
    await client.head(app, http);
    assert(performance.now() - start > 950, "the host was asked too early");
  });

  it("says so once, however many ask it, also where it is out of order", async () => {
    const told: [string, number][] = [];
    using client = clientWith({ onSlowDown: (...pause) => told.push(pause) });
    await client.head(app, http);
    const headers = { "retry-after": "5" };
    proxy.rules.push({ match: /manifests/, times: 2, fault: { status: 503, headers } });
    await Promise.allSettled([client.head(app, http), client.head(app, http)]);
    assertEquals(told, [[proxy.host, 5000]]);
  });

  it("for longer than a run waits is waited for once", async () => {
    const { signal } = new AbortController();
    const gate = new HostGate(1, undefined, 50);
    assertEquals([gate.pause("a.io", 3_600_000), gate.pause("a.io", 3_600_000)], [true, true]);
    await gate.wait("a.io", signal);
    assertEquals([gate.pause("a.io", 3_600_000), gate.pause("b.io", 3_600_000)], [false, true]);
    assertEquals(gate.pause("a.io", 20), true);
  });

  it("may name the moment, and a run does not wait longer than it is let", async () => {
    const abort = new AbortController();
    const told: number[] = [];
    using client = clientWith({ signal: abort.signal, onSlowDown: (_, ms) => told.push(ms) });
    await client.head(app, http);
    const date = new Date(Date.now() + 30_000).toUTCString();
    const headers = { "retry-after": date };
    proxy.rules.push({ match: /manifests/, times: 1, fault: { status: 429, headers } });
    await failure(() => client.head(app, http));
    const [pause = 0, ...others] = told;
    assert(Math.abs(pause - 30_000) < 5000, `${pause}`);
    assertEquals(others, []);
    const waiting = client.head(app, http);
    abort.abort();
    await assertRejects(() => waiting, InterruptedError);
  });
});

describe("a clock that is set back", () => {
  it("makes no pause longer", async () => {
    const { now } = Date;
    using client = clientWith();
    await client.head(app, http);
    const headers = { "retry-after": "1" };
    proxy.rules.push({ match: /manifests/, times: 1, fault: { status: 429, headers } });
    await failure(() => client.head(app, http));
    try {
      Date.now = () => now() - 7_200_000;
      const start = performance.now();
      await client.head(app, http);
      assert(performance.now() - start < 3_000, "it was waited for by another clock");
    } finally {
      Date.now = now;
    }
  });
});

describe("a blob", () => {
  it("takes one of the host's places until it has been read", async () => {
    using client = clientWith({ perRegistry: 2 });
    const first = await client.blob(app, digest, http);
    const second = await client.blob(app, digest, http);
    const third = client.blob(app, digest, http);
    for (let time = 0; time < 3; time++) await client.head(app, http);
    assertEquals(client.requests.blobs, 2);
    await first.body.cancel();
    await (await third).body.cancel();
    await read(second.body);
  });

  it("ends where it is told to, while it waits and while it is read", async () => {
    using client = clientWith({ perRegistry: 1 });
    proxy.rules.push({ match: /blobs/, times: 1, fault: { slow: 100 } });
    const abort = new AbortController();
    const { body } = await client.blob(app, digest, http, { signal: abort.signal });
    const waiting = client.blob(app, digest, http, { signal: abort.signal });
    abort.abort();
    await assertRejects(() => waiting, InterruptedError);
    await assertRejects(() => read(body), InterruptedError);
    assertEquals((await read((await client.blob(app, digest, http)).body)).length, size);
  });

  it("is asked for as a whole where another part comes than was asked for", async () => {
    for (const headers of [{ "content-range": `bytes 0-3/${size}` }, {}]) {
      const fault = { status: 206, headers, body: "else" };
      proxy.rules.push({ match: /blobs/, times: 1, fault });
      const { offset, body } = await client.blob(app, digest, http, { offset: 4 });
      assertEquals([offset, (await read(body)).length], [0, size]);
    }
  });

  it("begins at 0 where the registry knows no ranges", async () => {
    proxy.rules.push({ match: /blobs/, fault: { status: 200, body: "all of it" } });
    const { offset, body } = await client.blob(app, digest, http, { offset: 4 });
    assertEquals([offset, await new Response(body).text()], [0, "all of it"]);
  });
});

describe("a redirect", () => {
  it("to another host shows it no login, but asks for the same range", async () => {
    await using other = await startFaultProxy(registry);
    const headers = { "www-authenticate": "Basic realm=x" };
    const location = `http://${other.host}/v2/${app.path}/blobs/${digest}`;
    proxy.rules.push(
      { match: ({ headers }) => !headers["authorization"], fault: { status: 401, headers } },
      { match: /blobs/, fault: { status: 307, headers: { location } } },
    );
    const authFile = await Deno.makeTempFile();
    const auth = btoa("ann:open-sesame");
    await Deno.writeTextFile(authFile, JSON.stringify({ auths: { [proxy.host]: { auth } } }));
    const { offset, body } = await client.blob(app, digest, { ...http, authFile }, { offset: 7 });
    await read(body);
    await Deno.remove(authFile);
    assertEquals(offset, 7);
    assertEquals(proxy.requests.at(-1)?.headers["authorization"], `Basic ${auth}`);
    const [seen] = other.requests;
    assertEquals([seen?.headers["authorization"], seen?.headers["range"]], [undefined, "bytes=7-"]);
    // Nor does it where it asks for one.
    other.rules.push({ match: /./, fault: { status: 401, headers } });
    await assertRejects(() => client.blob(app, digest, { ...http, authFile }), Unserved);
    assertEquals(other.requests.map(({ headers }) => headers["authorization"]), [
      undefined,
      undefined,
    ]);
  });

  it("to a host that asks for a login tells its tokens nothing, and no error tells the URL", async () => {
    await using tokens = startTokenServer();
    await using other = await startFaultProxy(registry, [tokens.rule]);
    const location = `http://${other.host}/v2/${app.path}/blobs/${digest}?sig=secret`;
    proxy.rules.push({ match: /blobs/, fault: { status: 307, headers: { location } } });
    await assertRejects(() => client.blob(app, digest, http), Unserved, "401");
    assertEquals(tokens.requests, []);
    const dead = { location: "http://registry.invalid/blob?sig=secret" };
    proxy.rules.splice(0, 1, { match: /blobs/, fault: { status: 307, headers: dead } });
    const { message, stack } = await failure(() => client.blob(app, digest, http));
    assertMatch(message, /^cannot reach "registry\.invalid": dns error/);
    assertEquals(stack?.includes("secret"), false);
  });

  it("that has no end, or leads nowhere, is not followed", async () => {
    await client.head(app, http);
    for (
      const location of [`/v2/${app.path}/blobs/${digest}`, "file:///etc/passwd", "http://a:b@c/"]
    ) {
      const fault = { status: 302, headers: { location } };
      proxy.rules.splice(0, 1, { match: /blobs/, fault });
      const kind = location.startsWith("/") ? NoRegistry : Refused;
      await assertRejects(() => client.blob(app, digest, http), kind, "redirects");
    }
    assertEquals(client.requests.redirects, 10);
  });
});
