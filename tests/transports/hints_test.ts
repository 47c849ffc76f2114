import { assert, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { inspectRaw } from "../../src/tools/skopeo.ts";
import { readFailure } from "../../src/tools/skopeo_failure.ts";
import { hintOf } from "../../src/transports/hints.ts";
import { run, skopeoImage, startRegistry, type TempDir, tempDir } from "../support/mod.ts";

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(async () => await dir[Symbol.asyncDispose]());

const SELF = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/** A certificate that an authority has signed, with an extension or without. */
async function sign(name: string, extension: string, prefix: readonly string[] = []) {
  const [key, cert] = [dir.join(`${name}.key`), dir.join(`${name}.pem`)];
  const [command = "", ...args] = [
    ...[...prefix, "openssl", ...SELF, "-subj", "/CN=127.0.0.1", "-days", "2"],
    ...["-CA", dir.join("certs/ca.crt"), "-CAkey", dir.join("ca.key")],
    ...["-keyout", key, "-out", cert, "-addext", extension],
  ];
  await run(command, args);
  return { key: await Deno.readTextFile(key), cert: await Deno.readTextFile(cert) };
}

describe("hintOf() what skopeo says of a certificate", () => {
  const SAN = "subjectAltName=IP:127.0.0.1";
  const cases: Record<string, [extension: string, prefix: string[], says: string]> = {
    "that has expired": [SAN, ["faketime", "-f", "-9d"], "has expired"],
    "of days to come": [SAN, ["faketime", "-f", "+9d"], "this machine's clock"],
    "for another name": ["subjectAltName=DNS:a.io", [], "subjectAltName"],
    "for another address": ["subjectAltName=IP:10.0.0.1", [], "for other names"],
    "without a name that counts": ["basicConstraints=CA:FALSE", [], "common name does not count"],
    "of no server": [`extendedKeyUsage=clientAuth`, [], "tell who runs it"],
  };

  beforeAll(async () => {
    await Deno.mkdir(dir.join("certs"));
    const [key, cert] = [dir.join("ca.key"), dir.join("certs/ca.crt")];
    const subject = ["-subj", "/CN=authority", "-days", "99"];
    const args = [...SELF, ...subject, "-keyout", key, "-out", cert];
    await run("faketime", ["-f", "-30d", "openssl", ...args]);
  });

  for (const [what, [extension, prefix, says]] of Object.entries(cases)) {
    it(`says what to do about one ${what}`, async () => {
      const { key, cert } = await sign(what.replaceAll(" ", "-"), extension, prefix);
      await using server = Deno.serve(
        { port: 0, hostname: "127.0.0.1", key, cert, onListen() {} },
        () => new Response("{}"),
      );
      const image = `docker://127.0.0.1:${server.addr.port}/app:1`;
      const options = { trust: {}, tmpDir: dir.path };
      const { stderr } = await inspectRaw(
        skopeoImage(image),
        { certDir: dir.join("certs") },
        options,
      );
      const { message } = readFailure(stderr, { image: skopeoImage(image), isRemote: true });
      const hint = hintOf(message);
      assert(hint, message);
      assertStringIncludes(hint, says);
      assert(!hint.includes("CA into"), hint);
    });
  }

  it("says where to put the authority that is missing", async () => {
    await using safe = await startRegistry({ tls: true });
    const image = `docker://${safe.host}/app:1`;
    const { stderr } = await inspectRaw(skopeoImage(image), {}, { trust: {}, tmpDir: dir.path });
    assertStringIncludes(
      hintOf(readFailure(stderr, { image: skopeoImage(image), isRemote: true }).message) ?? "",
      "certs.d",
    );
  });

  it("knows what else Go says", () => {
    const words: [string, string][] = [
      ["Get: x509: certificate signed by unknown authority (possibly because …)", "CA into"],
      ["x509: certificate is valid for a.io, not b.io", "other names"],
      ["x509: certificate is not valid for any names, but wanted to match b.io", "other names"],
      ["x509: cannot verify signature: insecure algorithm SHA1-RSA", "counts no more"],
      ["x509: certificate specifies an incompatible key usage", "not one of a server"],
      ["x509: unhandled critical extension", "cannot be used"],
      ["remote error: tls: bad certificate", "client.cert"],
      ["remote error: tls: certificate required", "client.cert"],
      ["remote error: tls: handshake failure", "count no more"],
      ["tls: server selected unsupported protocol version 301", "count no more"],
    ];
    for (const [said, hint] of words) assertStringIncludes(hintOf(said) ?? said, hint);
    assert(hintOf("connection refused") === undefined);
  });
});
