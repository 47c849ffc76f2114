import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { docker, FetchError, fromDir } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { copyTo, fileLayer, makeTls, pushImage, type Rule } from "../support/mod.ts";
import { eventsOf, mustFail, mustFetch } from "./fixture.ts";

const http = { tlsVerify: false };
const secret = "open-sesame-7f3";

const { dir, store, registry, proxy } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "a" })] });

const page = { headers: { "content-type": "text/html" }, body: "<html>Sign in</html>" };
const challenge = () => ({ "www-authenticate": `Bearer realm="http://${proxy.host}/token"` });

describe("a registry that makes up errors", () => {
  const told = { 403: "denied", 404: "unknown", 410: "unknown" };
  for (const [status, reason] of Object.entries(told)) {
    it(`is taken at its word: ${status}`, async () => {
      const body = JSON.stringify({ errors: [{ code: null, message: secret }] });
      proxy.rules.push({ match: /manifests/, fault: { status: Number(status), body } });
      const source = docker(`${proxy.host}/app:1`, http);
      const { error } = await mustFail(FetchError, source, { store });
      assertEquals(error.attempts.map(({ reason }) => reason), [reason]);
      assertEquals(JSON.stringify(error).includes(secret), false);
    });
  }
});

describe("what is no registry", () => {
  const cases: Record<string, () => Rule[]> = {
    "has a page for everything": () => [{ match: /./, fault: { status: 200, ...page } }],
    "has a page for manifests": () => [{ match: /manifests/, fault: { status: 200, ...page } }],
    "gives a page in place of a token": () => [
      { match: /token/, fault: { status: 200, ...page } },
      { match: /./, fault: { status: 401, headers: challenge() } },
    ],
    "does not say that it is a manifest": () => [{
      match: /manifests/,
      fault: {
        status: 200,
        headers: { "content-type": "application/octet-stream" },
        body: app.manifest,
      },
    }],
    "redirects without end": () => [{
      match: /manifests/,
      fault: { status: 307, headers: { location: "/v2/app/manifests/1" } },
    }],
    "redirects to nowhere": () => [{ match: /manifests/, fault: { status: 307 } }],
    "says that nothing is there, and no error": () => [{
      match: /manifests/,
      fault: { status: 204 },
    }],
    "has no place to log in at": () => [{
      match: /./,
      fault: { status: 401, headers: { "www-authenticate": 'Bearer realm=""' } },
    }],
  };
  for (const [what, rules] of Object.entries(cases)) {
    it(`is left for the next place: it ${what}`, async () => {
      await copyTo(registry, app, `dir:${dir.join("app")}`);
      proxy.rules.push(...rules());
      const reference = `${proxy.host}/app:1`;
      const source = docker(reference, { ...http, fallback: [fromDir(dir.join("app"))] });
      const { events } = await mustFetch(source, { store });
      assertEquals(eventsOf(events, "retry"), []);
      const [absent] = eventsOf(events, "absent");
      assertStringIncludes(absent?.message ?? "", `"${proxy.host}"`);
      const { error } = await mustFail(FetchError, docker(reference, http), { store });
      assert(error.hint && !error.hint.includes("reached"), error.hint);
    });
  }

  it("is one where another protocol is spoken", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const serving = (async () => {
      for await (const connection of listener) {
        await connection.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2\r\n"));
        connection.close();
      }
    })();
    const source = docker(`127.0.0.1:${listener.addr.port}/app:1`, http);
    const { error } = await mustFail(FetchError, source, { store, attempts: 1 });
    assertEquals(error.attempts.map(({ reason }) => reason), ["unreachable"]);
    listener.close();
    await serving;
  });
});

describe("a registry with TLS that asks for what is not safe", () => {
  type Bend = (plain: string) => (path: string) => ResponseInit | undefined;
  const unsafe: Record<string, Bend> = {
    "a login without TLS": (plain) => () => ({
      status: 401,
      headers: { "www-authenticate": `Bearer realm="http://${plain}/token",service="s"` },
    }),
    "an image without TLS": (plain) => (path) =>
      path.endsWith(app.layers[0]!.digest)
        ? { status: 307, headers: { location: `http://${plain}${path}` } }
        : undefined,
  };
  for (const [what, bend] of Object.entries(unsafe)) {
    it(`is not obeyed, not by skopeo either: ${what}`, async () => {
      const tls = await makeTls(dir.path);
      const [cert, key] = await Promise.all([tls.cert, tls.key].map((f) => Deno.readTextFile(f)));
      const bent = bend(proxy.host);
      await using server = Deno.serve(
        { port: 0, hostname: "127.0.0.1", cert: cert!, key: key!, onListen() {} },
        async (request) => {
          const { pathname } = new URL(request.url);
          const accept = request.headers.get("accept") ?? "";
          const init = bent(pathname);
          if (init) return new Response(null, init);
          const { status, headers, body } = await registry.fetch(pathname, { headers: { accept } });
          return new Response(body, { status, headers });
        },
      );
      const host = `127.0.0.1:${server.addr.port}`;
      const auths = { [host]: { auth: btoa(`ann:${secret}`) } };
      await Deno.writeTextFile(dir.join("auth.json"), JSON.stringify({ auths }));
      const source = docker(`${host}/app:1`, {
        certDir: tls.certDir,
        authFile: dir.join("auth.json"),
      });
      const { error } = await mustFail(FetchError, source, { store, attempts: 1 });
      assertEquals(error.attempts.map(({ reason }) => reason), ["denied"]);
      assertStringIncludes(error.hint ?? "", "who runs the registry");
      assertEquals(proxy.requests.map(({ path }) => path), []);
    });
  }
});
