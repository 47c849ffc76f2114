import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Unserved } from "../../../src/transports/docker/errors.ts";
import { findProxy } from "../../../src/transports/docker/proxy.ts";
import { fixture } from "../../support/fixture.ts";
import { denoProgram, fileLayer, pushImage, run, startRegistry } from "../../support/mod.ts";

const JOB = import.meta.resolve("./manifest_job.ts");
// Nothing listens there.
const DEAD = "http://127.0.0.1:9";

const { registry, proxy } = await fixture({ registry: true });
const image = await pushImage(registry, "team/app:1", { layers: [await fileLayer({ a: "b" })] });

/** What a process with some variables is told of an image. */
async function head(image: string, how: unknown, env: Record<string, string>): Promise<string> {
  const program = denoProgram(JOB, image, JSON.stringify(how));
  return await run(...program, { env: { NO_PROXY: "", ...env } });
}

describe("findProxy()", () => {
  /** The host of the proxy that a URL goes through, or how it goes else. */
  const way = async (url: string, env: Record<string, string>): Promise<string> => {
    try {
      const { label, login } = await findProxy(new URL(url), (name) => env[name]) ?? {};
      return label ? `${login ? `${login.user}:${login.password}@` : ""}${label}` : "direct";
    } catch (error) {
      if (!(error instanceof Unserved)) throw error;
      return "unserved";
    }
  };

  it("takes the proxy of the protocol, and none of ALL_PROXY", async () => {
    const env = { HTTP_PROXY: "http://plain:3128", HTTPS_PROXY: "http://safe:3128" };
    assertEquals(await way("http://a.io/", env), "plain:3128");
    assertEquals(await way("https://a.io/", env), "safe:3128");
    assertEquals(await way("https://a.io/", { ALL_PROXY: "http://all:3128" }), "direct");
    assertEquals(await way("https://a.io/", { HTTP_PROXY: "http://plain:3128" }), "direct");
  });

  // What real Go decides for a proxy of both protocols: https://pkg.go.dev/golang.org/x/net/http/httpproxy
  const excluded: readonly [
    noProxy: string,
    direct: readonly string[],
    proxied: readonly string[],
  ][] = [
    ["", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]"], [
      "a.io",
      "x.localhost",
      "128.0.0.1",
      "[2001:db8::1]",
    ]],
    ["*", ["a.io", "10.0.0.1", "[2001:db8::1]"], []],
    ["b.io,*", ["a.io"], []],
    ["a.io", ["a.io", "b.a.io", "c.b.a.io", "a.io:5000"], ["xa.io", "io", "a.io.b"]],
    [".a.io", ["b.a.io", "c.b.a.io"], ["a.io", "xa.io"]],
    ["*.a.io", ["b.a.io"], ["a.io", "xa.io"]],
    ["*a.io,b*.io", [], ["a.io", "ba.io", "b.io"]],
    [" , A.io ,", ["a.io"], ["b.io"]],
    ["a.io:5000", ["a.io:5000", "b.a.io:5000"], ["a.io", "a.io:5001"]],
    ["*.a.io:443", ["b.a.io", "b.a.io:443"], ["b.a.io:80", "a.io:443"]],
    ["a.io:", ["a.io", "a.io:5000"], []],
    [":443,https://a.io,a.io/", [], ["a.io"]],
    ["10.0.0.0/8", ["10.0.0.1", "10.255.1.1:5000", "[::ffff:10.0.0.1]"], ["11.0.0.1", "a.io"]],
    ["10.0.0.0/33,10.0.0.0/", [], ["10.0.0.1"]],
    ["10.0.0.1", ["10.0.0.1", "10.0.0.1:5000"], ["10.0.0.2"]],
    ["10.0.0.1:5000", ["10.0.0.1:5000"], ["10.0.0.1"]],
    ["2001:db8::/32", ["[2001:db8:1::1]"], ["[2001:db9::1]", "10.0.0.1"]],
    ["[2001:db8::1]:443,2001:db8::2", ["[2001:db8::1]", "[2001:db8::2]:5000"], [
      "[2001:db8::1]:80",
      "[2001:db8::3]",
    ]],
    ["bücher.io", ["bücher.io", "xn--bcher-kva.io", "a.bücher.io"], ["bucher.io"]],
  ];
  for (const [noProxy, direct, proxied] of excluded) {
    it(`leaves out what NO_PROXY="${noProxy}" names`, async () => {
      const env = { HTTPS_PROXY: "http://p:3128", NO_PROXY: noProxy };
      for (const host of direct) {
        assertEquals([host, await way(`https://${host}/`, env)], [host, "direct"]);
      }
      for (const host of proxied) {
        assertEquals([host, await way(`https://${host}/`, env)], [host, "p:3128"]);
      }
    });
  }

  it("reads proxies however they are written, with their login", async () => {
    const of = (HTTPS_PROXY: string) => way("https://a.io/", { HTTPS_PROXY });
    assertEquals(await of("p:3128"), "p:3128");
    assertEquals(await of("https://p"), "p");
    assertEquals(await of("socks5://10.0.0.1:1080/"), "10.0.0.1:1080");
    assertEquals(await of("ann:pass@p:3128"), "ann:pass@p:3128");
    assertEquals(await of("http://an%40n:pa%20ss@p:3128"), "an@n:pa ss@p:3128");
    for (const odd of ["http://an n:x@p", "ftp://p:1", "http://p%zz@p", "://p", "http://p:99999"]) {
      assertEquals([odd, await of(odd)], [odd, "unserved"]);
    }
  });

  it("leaves to skopeo what versions of Go read in different ways", async () => {
    const both = { HTTPS_PROXY: "http://a:1", https_proxy: "http://b:1" };
    assertEquals(await way("https://a.io/", both), "unserved");
    assertEquals(await way("https://a.io/", { ...both, https_proxy: "http://a:1" }), "a:1");
    assertEquals(await way("https://a.io/", { ...both, NO_PROXY: "a.io" }), "direct");
    assertEquals(
      await way("https://a.io/", { https_proxy: "http://b:1", no_proxy: "b.io" }),
      "b:1",
    );
    const cgi = { HTTP_PROXY: "http://a:1", REQUEST_METHOD: "GET" };
    assertEquals(await way("http://a.io/", cgi), "unserved");
  });
});

describe("a proxy of the environment", () => {
  it("is used for what is not on this machine", async () => {
    const env = { HTTP_PROXY: `http://${proxy.host}` };
    const name = "registry.invalid/team/app:1";
    assertEquals(await head(name, { tlsVerify: false }, env), image.digest);
    assertEquals(proxy.requests.at(-1)?.path, "http://registry.invalid/v2/team/app/manifests/1");
    assertMatch(await head(name, {}, { HTTPS_PROXY: DEAD }), /^Unreachable: .*refused/);
  });

  it("is not used for this machine, nor where NO_PROXY says so, and is shown no login then", async () => {
    const http = { tlsVerify: false };
    const env = { HTTP_PROXY: `http://${proxy.host}`, ALL_PROXY: DEAD };
    const [, port] = registry.host.split(":");
    for (const [host, NO_PROXY] of [["127.0.0.1", ""], ["localhost", "a.io"], ["127.0.0.1", "*"]]) {
      const found = await head(`${host}:${port}/team/app:1`, http, { ...env, NO_PROXY: NO_PROXY! });
      assertEquals(found, image.digest);
    }
    const name = "registry.invalid:5000/team/app:1";
    for (const NO_PROXY of ["registry.invalid:5000", "*.invalid", "REGISTRY.invalid", "invalid"]) {
      assertMatch(await head(name, http, { ...env, NO_PROXY }), /^Unreachable: .*dns error/);
    }
    assertEquals(proxy.requests, []);
    assertMatch(await head(name, http, { ...env, NO_PROXY: ".registry.invalid" }), /404|sha256/);
    assert(proxy.requests.length > 0);
  });

  it("of ALL_PROXY means nothing, over TLS neither", async () => {
    await using safe = await startRegistry({ tls: true });
    const { digest, reference } = await pushImage(safe, "app:1", {
      layers: [await fileLayer({ a: "b" })],
    });
    const how = { certDir: safe.tls!.certDir };
    assertEquals(await head(reference, how, { ALL_PROXY: DEAD }), digest);
    assertEquals(await head(reference, how, { HTTPS_PROXY: DEAD, https_proxy: DEAD }), digest);
  });

  const says = {
    "403 Forbidden": /^RegistryError: the proxy "127.*" answers 403 for "registry.invalid"/,
    "407 Proxy Authentication Required": /answers 407/,
    "502 Bad Gateway": /answers 502/,
    "403 whatever \x1b it likes": /answers 403/,
  };
  for (const [status, expected] of Object.entries(says)) {
    it(`that refuses to connect is named: ${status}`, async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const asked: string[] = [];
      const serving = (async () => {
        for await (const connection of listener) {
          const bytes = new Uint8Array(4096);
          asked.push(
            new TextDecoder().decode(bytes.subarray(0, await connection.read(bytes) ?? 0)),
          );
          await connection.write(new TextEncoder().encode(`HTTP/1.1 ${status}\r\n\r\n`));
          connection.close();
        }
      })();
      const env = { HTTPS_PROXY: `http://ann:open-sesame@127.0.0.1:${listener.addr.port}` };
      const said = await head("registry.invalid/team/app:1", {}, env);
      assertMatch(said, expected);
      assertEquals(said.includes("open-sesame"), false);
      for (const line of asked) {
        assertStringIncludes(line.toLowerCase(), "connect registry.invalid:443");
        assertStringIncludes(
          line.toLowerCase(),
          `authorization: basic ${btoa("ann:open-sesame")}`.toLowerCase(),
        );
      }
      listener.close();
      await serving;
    });
  }

  it("that is not there is named, without its login", async () => {
    const env = { HTTPS_PROXY: "http://ann:open-sesame@127.0.0.1:9" };
    const said = await head("registry.invalid/team/app:1", {}, env);
    assertMatch(said, /^Unreachable: .* through the proxy "127.0.0.1:9": .*refused/);
    assertEquals(said.includes("open-sesame"), false);
  });
});
