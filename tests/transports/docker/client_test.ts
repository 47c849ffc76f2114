import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { once } from "node:events";
import { createServer } from "node:https";
import { join } from "@std/path";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import type { RegistryClient } from "../../../src/transports/docker/client.ts";
import { Unserved } from "../../../src/transports/docker/errors.ts";
import { beginUpload } from "../../../src/transports/docker/repository.ts";
import { fixture } from "../../support/fixture.ts";
import {
  digestOf,
  makeTls,
  nginxLikeLayer,
  pushImage,
  randomLayer,
  startRegistry,
} from "../../support/mod.ts";
import { clientWith, referenceTo } from "./fixture.ts";

const auth = { user: "ann", password: "open-sesame-9f3" };

const { registry } = await fixture({ registry: true });
const app = await pushImage(registry, "team/app:1", { layers: [await nginxLikeLayer()] });
const { dir, registry: safe } = await fixture({ registry: { auth, tls: true } });
const secret = await pushImage(safe, "team/app:1", { layers: [await nginxLikeLayer()] });

describe("a registry without TLS", () => {
  const http = { tlsVerify: false };
  let client: RegistryClient;

  beforeEach(() => void (client = clientWith()));
  afterEach(() => client[Symbol.dispose]());

  it("says what a tag stands for in one request, once it is known to have no TLS", async () => {
    const reference = referenceTo(app);
    const expected = { digest: app.digest, mediaType: app.mediaType };
    assertEquals(await client.head(reference, http), expected);
    const { total } = client.requests;
    assertEquals(await client.head(reference, http), expected);
    assertEquals(client.requests.total - total, 1);
    assertEquals(client.requests.heads, 2);
  });

  it("serves manifests by tag and by digest, as they are", async () => {
    for (const reference of [referenceTo(app), referenceTo(app, app.digest)]) {
      const bytes = await client.manifest(reference, http);
      assertEquals(new TextDecoder().decode(bytes), app.manifest);
    }
  });

  it("serves blobs, from the byte on that is asked for", async () => {
    const [layer] = app.layers;
    const { digest = "", size } = layer ?? {};
    const whole = await client.blob(referenceTo(app), digest, http);
    assertEquals([whole.offset, whole.size], [0, size]);
    const bytes = await new Response(whole.body).bytes();
    assertEquals(await digestOf(bytes), digest);
    const rest = await client.blob(referenceTo(app), digest, http, { offset: 100 });
    assertEquals([rest.offset, rest.size], [100, size]);
    assertEquals(await new Response(rest.body).bytes(), bytes.slice(100));
  });

  it("has nothing to resume of a blob that is here already", async () => {
    const [layer] = app.layers;
    const { digest = "", size } = layer ?? {};
    const { offset, body } = await client.blob(referenceTo(app), digest, http, { offset: size! });
    assertEquals(offset, 0);
    await body.cancel();
  });

  it("does not serve what is not there", async () => {
    const missing = { ...referenceTo(app), tag: "2" };
    await assertRejects(() => client.manifest(missing, http), Unserved, "404 (MANIFEST_UNKNOWN)");
    await assertRejects(() => client.head(missing, http), Unserved, "404");
  });

  it("is not asked without TLS where that is not said to do", async () => {
    await assertRejects(() => client.head(referenceTo(app), {}), Unserved);
  });
});

describe("a registry without TLS", () => {
  it("is asked without it where the first words of TLS get no answer", async () => {
    await using registry = await startRegistry();
    const app = await pushImage(registry, "team/app:1", { layers: [await nginxLikeLayer()] });
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connections = new DisposableStack();
    const serving = (async () => {
      for await (const connection of listener) {
        connections.defer(() => connection[Symbol.dispose]());
        const first = new Uint8Array(64 * 1024);
        const size = await connection.read(first) ?? 0;
        if (first[0] === 0x16) continue;
        const [hostname = "", port] = registry.host.split(":");
        const behind = await Deno.connect({ hostname, port: Number(port) });
        connections.defer(() => behind[Symbol.dispose]());
        await behind.write(first.subarray(0, size));
        connection.readable.pipeTo(behind.writable).catch(() => {});
        behind.readable.pipeTo(connection.writable).catch(() => {});
      }
    })();
    const client = clientWith({ stallTimeout: 300 });
    const domain = `127.0.0.1:${listener.addr.port}`;
    const start = performance.now();
    const bytes = await client.manifest({ ...referenceTo(app), domain }, { tlsVerify: false });
    assertEquals(new TextDecoder().decode(bytes), app.manifest);
    assert(performance.now() - start < 1000, "it is waited for more than once");
    client[Symbol.dispose]();
    connections.dispose();
    listener.close();
    await serving;
  });
});

describe("a registry with TLS and a password", () => {
  const how = { authFile: dir.join("auth.json"), certDir: safe.tls!.certDir };
  let client: RegistryClient;

  beforeEach(async () => {
    client = clientWith();
    await Deno.writeTextFile(how.authFile, authJson(auth.password));
  });
  afterEach(() => client[Symbol.dispose]());

  const authJson = (password: string) =>
    JSON.stringify({ auths: { [safe.host]: { auth: btoa(`${auth.user}:${password}`) } } });

  it("serves images, and is asked without a login once only", async () => {
    assertEquals((await client.head(referenceTo(secret), how))?.digest, secret.digest);
    assertEquals(client.requests.total, 2);
    const bytes = await client.manifest(referenceTo(secret), how);
    assertEquals(new TextDecoder().decode(bytes), secret.manifest);
    assertEquals(client.requests.total, 3);
  });

  it("does not serve who has the wrong password or none, and nobody is told it", async () => {
    const wrong = { ...how, authFile: dir.join("wrong.json") };
    await Deno.writeTextFile(wrong.authFile, authJson("another-7c1"));
    const error = await assertRejects(() => client.head(referenceTo(secret), wrong), Unserved);
    assertEquals(/another-7c1|ann/.test(Deno.inspect(error)), false);
    const none = { ...how, authFile: dir.join("none.json") };
    await assertRejects(() => client.head(referenceTo(secret), none), Unserved, "denies");
  });

  it("is not told a password where its certificate is not trusted", async () => {
    const { authFile } = how;
    const error = await assertRejects(
      () => client.head(referenceTo(secret), { authFile }),
      Unserved,
    );
    assertStringIncludes(error.message, "UnknownIssuer");
  });

  it("is reached by TLS where that need not be, and with any certificate, as by skopeo", async () => {
    const lax = { ...how, tlsVerify: false };
    assertEquals((await client.head(referenceTo(secret), lax))?.digest, secret.digest);
    assertEquals([client.requests.pings, client.requests.total], [1, 3]);
    using other = clientWith();
    const { authFile } = how;
    const any = { authFile, tlsVerify: false };
    assertEquals((await other.head(referenceTo(secret), any))?.digest, secret.digest);
    const { bytes, digest, size } = await randomLayer({ size: 1_000_000 });
    await Deno.writeFile(dir.join("layer"), bytes);
    const repository = await other.repository(referenceTo(secret), any);
    await repository.upload({ digest, size, path: dir.join("layer") }, beginUpload(), () => {});
    const { body } = await other.blob(referenceTo(secret), digest, any);
    assertEquals(await new Response(body).bytes(), bytes);
  });

  /** Starts a registry that asks for certificates of an authority. */
  async function startAsking(ca: string) {
    const { cert, key } = safe.tls!;
    const [certText, keyText, caText] = await Promise.all(
      [cert, key, ca].map((path) => Deno.readTextFile(path)),
    );
    const tls = { cert: certText, key: keyText, ca: caText, requestCert: true };
    const server = createServer(tls, (_, response) => {
      response.setHeader("docker-content-digest", secret.digest).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    return {
      reference: { ...referenceTo(secret), domain: `127.0.0.1:${port}` },
      async [Symbol.asyncDispose]() {
        server.close();
        await once(server, "close");
      },
    };
  }

  it("may ask for a certificate of this machine, which may have several", async () => {
    const { cert, key, ca } = safe.tls!;
    const other = await makeTls(dir.join("other"));
    for (const wanted of [ca, other.ca]) {
      await using server = await startAsking(wanted);
      const certDir = await Deno.makeTempDir({ dir: dir.path });
      await Deno.copyFile(ca, join(certDir, "ca.crt"));
      const ask = async () => {
        using client = clientWith();
        return (await client.head(server.reference, { certDir }))?.digest;
      };
      await assertRejects(ask, Unserved, "CertificateRequired");
      await Deno.copyFile(cert, join(certDir, "a.cert"));
      await Deno.copyFile(key, join(certDir, "a.key"));
      if (wanted === ca) assertEquals(await ask(), secret.digest);
      else assertEquals(await ask(), undefined);
      await Deno.copyFile(other.cert, join(certDir, "b.cert"));
      await Deno.copyFile(other.key, join(certDir, "b.key"));
      assertEquals(await ask(), secret.digest);
    }
  });

  it("is trusted by an authority that stands among what is none", async () => {
    const certDir = await Deno.makeTempDir({ dir: dir.path });
    const ca = await Deno.readTextFile(how.certDir + "/ca.crt");
    const broken = ca.replace(/\n[^\n]{20}/, `\n${"A".repeat(20)}`);
    await Deno.writeTextFile(join(certDir, "ca.crt"), `# a comment\n${broken}${ca}`);
    await Deno.writeTextFile(join(certDir, "empty.crt"), "");
    await Deno.writeFile(join(certDir, "odd.crt"), new Uint8Array([0x30, 0x82, 0xff]));
    const found = await client.head(referenceTo(secret), { ...how, certDir });
    assertEquals(found?.digest, secret.digest);
  });
});
