import { assertEquals, assertRejects } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import type { Reference } from "../../../config/reference.ts";
import type { RegistryClient } from "../../../src/transports/docker/client.ts";
import { Refused, RegistryError, Unserved } from "../../../src/transports/docker/errors.ts";
import { fixture } from "../../support/fixture.ts";
import { fileLayer, makeTls, pushImage } from "../../support/mod.ts";
import { clientWith, referenceTo } from "./fixture.ts";
import { startTokenServer, type TokenServer } from "./token_server.ts";

const http = { tlsVerify: false };
const user = "ann";
const password = "open-sesame-9f3";
const basic = `Basic ${btoa(`${user}:${password}`)}`;

const { dir, registry, proxy } = await fixture({ registry: true });
const image = await pushImage(registry, "team/app:1", { layers: [await fileLayer({ a: "b" })] });

describe("a registry that asks for tokens", () => {
  let tokens: TokenServer;
  let client: RegistryClient;
  let app: Reference;

  beforeEach(() => {
    tokens = startTokenServer();
    proxy.rules.push(tokens.rule);
    client = clientWith();
    app = { ...referenceTo(image), domain: proxy.host };
  });
  afterEach(async () => {
    client[Symbol.dispose]();
    await tokens[Symbol.asyncDispose]();
  });

  async function loggedIn(entry: Readonly<Record<string, string>>) {
    const authFile = dir.join("auth.json");
    await Deno.writeTextFile(authFile, JSON.stringify({ auths: { [proxy.host]: entry } }));
    return { ...http, authFile };
  }

  it("gives one to all that ask at the same moment, and keeps it", async () => {
    await Promise.all([1, 2, 3, 4].map(() => client.head(app, http)));
    assertEquals(tokens.requests.length, 1);
    const { total } = client.requests;
    assertEquals((await client.head(app, http))?.digest, image.digest);
    assertEquals([client.requests.total - total, client.requests.tokens], [1, 1]);
  });

  it("is asked for another repository with a token at once", async () => {
    await client.head(app, http);
    const { total } = client.requests;
    const other = { ...app, path: "team/other" };
    await assertRejects(() => client.head(other, http), Unserved, "404");
    assertEquals(client.requests.total - total, 2);
    assertEquals(
      tokens.requests.map(({ query }) => [query.get("service"), query.get("scope")]),
      ["team/app", "team/other"].map((path) => ["stowage, test", `repository:${path}:pull`]),
    );
  });

  it("gives a new one where the old one has expired", async () => {
    await client.head(app, http);
    tokens.answer.token = "second";
    await Promise.all([1, 2, 3].map(() => client.head(app, http)));
    assertEquals(tokens.requests.length, 2);
  });

  it("gives a new one when the time of the old one is over, without being refused first", async () => {
    await client.head(app, http);
    const { now } = performance;
    performance.now = () => now.call(performance) + 301_000;
    try {
      const { total } = client.requests;
      await client.head(app, http);
      assertEquals([client.requests.total - total, client.requests.tokens], [2, 2]);
    } finally {
      performance.now = now;
    }
  });

  it("is shown the password of the one that logs in, but only where the tokens are", async () => {
    const how = await loggedIn({ auth: btoa(`${user}:${password}`) });
    await client.head(app, how);
    assertEquals(tokens.requests.map(({ authorization }) => authorization), [basic]);
    assertEquals(tokens.requests[0]?.query.get("account"), user);
    assertEquals(
      new Set(proxy.requests.map(({ headers }) => headers["authorization"])),
      new Set([undefined, "Bearer first"]),
    );
  });

  it("gives tokens for an identity token", async () => {
    await client.head(app, await loggedIn({ auth: btoa(`${user}:`), identitytoken: "id-5e2" }));
    const [{ method, form, query } = {}] = tokens.requests;
    assertEquals(
      [method, form?.get("grant_type"), form?.get("refresh_token"), query?.size],
      ["POST", "refresh_token", "id-5e2", 0],
    );
  });

  it("does not serve who gets no token, and says nothing secret", async () => {
    tokens.answer.status = 401;
    const how = await loggedIn({ auth: btoa(`${user}:${password}`) });
    const error = await assertRejects(() => client.head(app, how), Unserved, "401");
    assertEquals(/open-sesame|account|YW5u/.test(Deno.inspect(error)), false);
  });

  it("fails in passing where the server of tokens does", async () => {
    tokens.answer.status = 503;
    const error = await assertRejects(() => client.manifest(app, http), RegistryError, "503");
    assertEquals(error.isTransient, true);
    tokens.answer.status = 200;
    await client.head(app, http);
  });

  it("does not serve with a token that does not do", async () => {
    proxy.rules.unshift({
      match: /manifests/,
      fault: tokens.rule.fault,
    });
    await assertRejects(() => client.head(app, http), Unserved, "401");
    assertEquals(tokens.requests.length, 1);
  });

  it("is asked how to log in where it does not say it", async () => {
    proxy.rules.unshift({
      match: (request) => /manifests/.test(request.path) && tokens.requests.length === 0,
      fault: { status: 401 },
    });
    await client.head(app, http);
    assertEquals(tokens.requests.length, 1);
  });

  it("is not served where it asks for a login of another kind", async () => {
    const headers = { "www-authenticate": 'Negotiate, Digest realm="x"' };
    proxy.rules.unshift({ match: /manifests/, fault: { status: 401, headers } });
    await assertRejects(() => client.head(app, http), Unserved, "another kind");
  });

  it("with TLS is told nothing where its tokens come without", async () => {
    const tls = await makeTls(dir.path);
    const [cert, key] = await Promise.all(
      [tls.cert, tls.key].map((path) => Deno.readTextFile(path)),
    );
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", cert: cert!, key: key!, onListen() {} },
      () => {
        const headers = { "www-authenticate": tokens.challenge };
        return new Response(null, { status: 401, headers });
      },
    );
    const reference = { ...app, domain: `127.0.0.1:${server.addr.port}` };
    const how = { certDir: tls.certDir };
    await assertRejects(() => client.head(reference, how), Refused, "no safe place");
    assertEquals(tokens.requests, []);
  });
});
