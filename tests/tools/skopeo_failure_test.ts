import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { copyToDir, inspectRaw } from "../../src/tools/skopeo.ts";
import { readFailure as read, type SkopeoFailure } from "../../src/tools/skopeo_failure.ts";
import { fixture } from "../support/fixture.ts";
import {
  containerStorage,
  copyTo,
  type Fault,
  type FaultProxy,
  fileLayer,
  pushImage,
  randomLayer,
  run,
  skopeoImage,
  smallFs,
  startFaultProxy,
  startRegistry,
  tempDir,
} from "../support/mod.ts";

const { dir, registry } = await fixture({ registry: true });
const image = await pushImage(registry, "apps/a:1", {
  layers: [await randomLayer({ size: 50_000 })],
});

type Failure = Pick<SkopeoFailure, "kind" | "isTransient">;

function readFailure(stderr: string, name: string): Failure & { readonly message: string } {
  const isRemote = name.startsWith("docker:");
  const { kind, isTransient, message } = read(stderr, { image: skopeoImage(name), isRemote });
  return { kind, isTransient, message };
}

/** What a real skopeo says when it copies an image, or reads its manifest. */
async function failure(
  name: string,
  { inspect = false, authFile, into }: {
    inspect?: boolean;
    authFile?: string;
    into?: string;
  } = {},
): Promise<Failure & { readonly message: string }> {
  const options = { trust: {}, tmpDir: dir.path };
  const how = { tlsVerify: false, ...(authFile && { authFile }) };
  const folder = into ?? dir.join(crypto.randomUUID());
  const image = skopeoImage(name);
  const { code, stderr } =
    await (inspect ? inspectRaw(image, how, options) : copyToDir({ image, folder, how }, options));
  assert(code !== 0, `skopeo took ${name}`);
  return readFailure(stderr, name);
}

const PING = /^GET \/v2\/$/;
const MANIFEST = /^GET .*\/manifests\//;
const LAYER = (seen: { path: string }) => seen.path.endsWith(image.layers[0]!.digest);
const CONFIG = (seen: { path: string }) => seen.path.endsWith(image.id);

const away = { kind: "unreachable", isTransient: true } as const;
const down = { kind: "unreachable", isTransient: false } as const;
const unknown = { kind: "unknown", isTransient: false } as const;
const denied = { kind: "denied", isTransient: false } as const;
const limited = { kind: "rate-limited", isTransient: false } as const;
const wrong = { kind: "content", isTransient: false } as const;
const other = { kind: "other", isTransient: false } as const;

const oci = (code: string, message: string) => JSON.stringify({ errors: [{ code, message }] });
const status = (status: number, body = "<html>no</html>") => ({ status, body });

describe("readFailure() of a registry", () => {
  const everywhere: [Fault, Failure][] = [
    ["refuse", away],
    ["reset", away],
    [status(300), down],
    [status(400), down],
    [status(403), denied],
    [status(403, oci("DENIED", "requested access to the resource is denied")), denied],
    [status(404), unknown],
    [status(405), down],
    [status(408), away],
    [status(410), unknown],
    [status(418), down],
    [{ ...status(429), headers: { "retry-after": "0" } }, limited],
    [status(451), denied],
    [status(500), away],
    [status(500, oci("UNKNOWN", "no space left on device")), away],
    [status(502), away],
    [status(503), away],
    [status(504), away],
  ];
  const partly: [string, FaultRule["match"], Fault, Failure][] = [
    ["ping", PING, { wrongLength: -5 }, away],
    ["manifest", MANIFEST, { cutAfter: 100 }, away],
    ["manifest", MANIFEST, { wrongLength: 5 }, away],
    ["manifest", MANIFEST, { wrongLength: -5 }, wrong],
    ["manifest", MANIFEST, { body: "" }, wrong],
    ["manifest", MANIFEST, { body: "<html>" }, wrong],
    ["manifest", MANIFEST, { body: " ".repeat(5_000_000) }, wrong],
    ["manifest", MANIFEST, status(400, "Digest did not match"), down],
    ["manifest", MANIFEST, status(401), denied],
    ["manifest", MANIFEST, status(403, oci("MADE_UP", "go away")), down],
    ["manifest", MANIFEST, status(401, oci("UNAUTHORIZED", "authentication required")), denied],
    ["manifest", MANIFEST, status(403, "no space left on device"), denied],
    ["manifest", MANIFEST, status(404, oci("MANIFEST_UNKNOWN", "manifest unknown")), unknown],
    ["manifest", MANIFEST, status(404, oci("NAME_UNKNOWN", "no such repository")), unknown],
    ["layer", LAYER, status(401), denied],
    ["layer", LAYER, status(404, oci("BLOB_UNKNOWN", "blob unknown to registry")), unknown],
    ["layer", LAYER, { cutAfter: 0 }, away],
    ["layer", LAYER, { cutAfter: 10_000 }, away],
    ["layer", LAYER, { wrongLength: 5 }, away],
    ["layer", LAYER, { wrongLength: -5 }, wrong],
    ["layer", LAYER, { flipBit: 10_000 }, wrong],
    ["layer", LAYER, { body: "" }, wrong],
    ["layer", LAYER, { body: "<html>x</html>" }, wrong],
    ["config", CONFIG, { cutAfter: 10 }, away],
    ["config", CONFIG, { flipBit: 10 }, wrong],
    ["config", CONFIG, { body: "other" }, wrong],
  ];
  const places = [["ping", PING], ["manifest", MANIFEST], ["layer", LAYER]] as const;
  for (const [fault, expected] of everywhere) {
    for (const [place, match] of places) partly.push([place, match, fault, expected]);
  }
  for (const [place, match, fault, expected] of partly) {
    const what = JSON.stringify(fault).replaceAll('\\"', "").slice(0, 60);
    it(`takes ${what} for the ${place} as ${expected.kind}`, async () => {
      await using proxy = await startFaultProxy(registry, [{ match, fault }]);
      const { message: _, ...found } = await failure(`docker://${proxy.host}/apps/a:1`);
      assertEquals(found, expected);
    });
  }

  it("knows what answers before it is asked as no registry", () => {
    // Go says so of an SSH server, now and then.
    const said =
      `level=fatal msg="pinging container registry a.io:22: Get \\"http://a.io:22/v2/\\": ` +
      'readLoopPeekFailLocked: <nil>"';
    const { kind, isTransient } = readFailure(said, "docker://a.io:22/app:1");
    assertEquals({ kind, isTransient }, down);
  });

  it("knows a manifest that is served as of another type, and not what it calls its layers", () => {
    const said = (type: string) =>
      'level=fatal msg="initializing image from source docker://a.io/app:1: ' +
      `unsupported docker v2s2 media type: \\"${type}\\""`;
    const kind = (type: string) => readFailure(said(type), "docker://a.io/app:1").kind;
    assertEquals(kind("application/vnd.oci.image.manifest.v1+json"), "content");
    assertEquals(kind(""), "content");
    assertEquals(kind("application/vnd.docker.image.rootfs.diff.tar.zstd"), "other");
  });

  it("knows what has no tag, no repository, no name and no TLS", async () => {
    const host = `docker://${registry.host}`;
    for (const inspect of [false, true]) {
      const kind = async (name: string) => (await failure(name, { inspect })).kind;
      assertEquals(await kind(`${host}/apps/a:nope`), "unknown");
      assertEquals(await kind(`${host}/nope:1`), "unknown");
      assertEquals(await kind(`${host}/apps/a@sha256:${"0".repeat(64)}`), "unknown");
      assertEquals(await kind("docker://denied.invalid/a:1"), "unreachable");
    }
    const verified = await inspectRaw(skopeoImage(`${host}/apps/a:1`), {}, {
      trust: {},
      tmpDir: dir.path,
    });
    const { kind, message } = readFailure(verified.stderr, `${host}/apps/a:1`);
    assertEquals(kind, "unreachable");
    assertStringIncludes(message, "server gave HTTP response to HTTPS client");
  });

  it("does not trust certificates of authorities that it does not know", async () => {
    await using safe = await startRegistry({ tls: true });
    const name = `docker://${safe.host}/apps/a:1`;
    const { stderr } = await inspectRaw(skopeoImage(name), {}, { trust: {}, tmpDir: dir.path });
    const { message, ...found } = readFailure(stderr, name);
    assertEquals(found, down);
    assertStringIncludes(message, "x509: certificate signed by unknown authority");
  });

  it("knows credentials that are wrong, absent, or no JSON", async () => {
    await using safe = await startRegistry({ auth: { user: "ann", password: "right" } });
    const name = `docker://${safe.host}/apps/a:1`;
    const kindWith = async (text: string | undefined) => {
      const authFile = dir.join("auth.json");
      await Deno.remove(authFile).catch(() => {});
      if (text !== undefined) await Deno.writeTextFile(authFile, text);
      return (await failure(name, { inspect: true, authFile })).kind;
    };
    const auths = { [safe.host]: { auth: btoa("ann:wrong") } };
    assertEquals(await kindWith(JSON.stringify({ auths })), "denied");
    assertEquals(await kindWith(undefined), "denied");
    assertEquals(await kindWith("junk"), "machine");
  });

  it("says why in skopeo's words, without what is known", async () => {
    const refused = await failure("docker://127.0.0.1:1/apps/a:1", { inspect: true });
    const why = 'pinging container registry 127.0.0.1:1: Get "http://127.0.0.1:1/v2/": ' +
      "dial tcp 127.0.0.1:1: connect: connection refused";
    // Those after 1.22 say what they did it for.
    const message = refused.message.replace("fetching manifest 1 in 127.0.0.1:1/apps/a: ", "");
    assertEquals({ ...refused, message }, { ...away, message: why });
    const missing = await failure(`docker://${registry.host}/apps/a:nope`);
    const words = `reading manifest nope in ${registry.host}/apps/a: manifest unknown`;
    assertStringIncludes(missing.message, words);
    assert(!missing.message.includes("level=fatal"), missing.message);
  });
});

describe("readFailure() of a skopeo that asks for the rest of a blob itself", () => {
  it("does not take the status of an answer without parts for the reason", () => {
    const message = "writing blob: happened during read: unexpected EOF (after reconnecting, " +
      "server did not process a Range: header, status 200)";
    const said = `time="2026-01-01T00:00:00Z" level=fatal msg="${message}"`;
    assertEquals(readFailure(said, "docker://registry.example/a:1"), { ...away, message });
  });
});

describe("readFailure() of odd names", () => {
  const names = [
    "denied/not-found:eof",
    "toomanyrequests/unauthorized:timeout",
    "connection-refused/eof/http2:denied",
    "x/denied:status-404",
  ];
  for (const name of names) {
    it(`does not take "${name}" for a reason`, async () => {
      await pushImage(registry, name, { layers: [await fileLayer({ a: "a" })] });
      await using proxy = await startFaultProxy(registry, []);
      const cases: [RegExp, Fault, Failure][] = [
        [MANIFEST, status(500), away],
        [MANIFEST, status(404), unknown],
        [MANIFEST, { body: "<html>" }, wrong],
        [/\/blobs\//, status(403), denied],
        [/\/blobs\//, { flipBit: 9 }, wrong],
        [PING, "reset", away],
      ];
      for (const [match, fault, expected] of cases) {
        proxy.rules.splice(0, Infinity, { match, fault });
        const { message, ...found } = await failure(`docker://${proxy.host}/${name}`);
        assertEquals(found, expected, message);
      }
      const digest = `${name.replace(/:.*/, "")}@sha256:${"0".repeat(64)}`;
      proxy.rules.splice(0, Infinity, { match: MANIFEST, fault: status(502) });
      const { message: _, ...found } = await failure(`docker://${proxy.host}/${digest}`);
      assertEquals(found, away);
    });
  }

  it("does not take a host's name for a reason", async () => {
    const { kind } = await failure("docker://timeout.eof.invalid/denied/x:1", { inspect: true });
    assertEquals(kind, "unreachable");
  });

  it("does not take a folder's name for a reason", async () => {
    const odd = dir.join("permission denied, not found");
    await Deno.mkdir(odd);
    await copyTo(registry, image, `dir:${odd}`);
    const layer = `${odd}/${image.layers[0]!.digest.slice(7)}`;
    await Deno.writeTextFile(layer, "other");
    assertEquals((await failure(`dir:${odd}`)).kind, "content");
    await Deno.writeTextFile(`${odd}/manifest.json`, "junk");
    assertEquals((await failure(`dir:${odd}`)).kind, "content");
  });
});

describe("readFailure() of this machine", () => {
  it("knows what is not in a storage", async () => {
    await using storage = await containerStorage("overlay");
    await copyTo(registry, image, storage.reference("localhost/a:1"));
    for (const inspect of [false, true]) {
      const find = async (name: string) => (await failure(storage.reference(name), { inspect }));
      for (const name of ["localhost/b:1", "localhost/denied:1"]) {
        const { message: _, ...found } = await find(name);
        assertEquals(found, unknown);
      }
      assertEquals((await find(`localhost/a@sha256:${"1".repeat(64)}`)).kind, "unknown");
      assertEquals((await find(`@${"1".repeat(64)}`)).kind, "unknown");
    }
  });

  for (const driver of ["vfs", "overlay"] as const) {
    it(`takes a changed file of a storage of ${driver} as wrong content`, async () => {
      await using storage = await containerStorage(driver);
      await copyTo(registry, image, storage.reference("localhost/a:1"));
      const file = await run("find", [storage.root, "-name", "random-0"]);
      await Deno.writeTextFile(file.trim(), "other");
      assertEquals((await failure(storage.reference("localhost/a:1"))).kind, "content");
    });
  }

  for (const transport of ["dir", "oci", "oci-archive", "docker-archive"]) {
    it(`tells absent from damaged in ${transport}`, async () => {
      await using place = await tempDir();
      const path = place.join("image");
      const name = { dir: "", oci: ":web" }[transport] ?? ":localhost/web:1";
      await copyTo(registry, image, `${transport}:${path}${name}`);
      const kinds = async (suffix: string) => {
        const [inspected, copied] = [
          await failure(`${transport}:${path}${suffix}`, { inspect: true }),
          await failure(`${transport}:${path}${suffix}`),
        ];
        assertEquals(inspected.kind, copied.kind);
        return inspected.kind;
      };
      assertEquals(await kinds("-not-there"), "unknown");
      await Deno.mkdir(`${path}-empty`);
      assertEquals(await kinds("-empty"), "unknown");
      if (transport !== "dir") assertEquals(await kinds(":localhost/other:1"), "unknown");
      await Deno.writeTextFile(`${path}-junk`, "junk");
      const isArchive = transport.endsWith("archive");
      assertEquals(await kinds("-junk"), isArchive ? "content" : "unknown");

      const layer = await largestFile(path);
      const bytes = await Deno.readFile(layer);
      bytes[bytes.length >> 1]! ^= 1;
      await Deno.writeFile(layer, bytes);
      assertEquals((await failure(`${transport}:${path}`)).kind, "content");
      await Deno.truncate(layer, bytes.length >> 1);
      assertEquals((await failure(`${transport}:${path}`)).kind, "content");
    });
  }

  it("tells a full or read-only disk from all else", async () => {
    await using disk = await smallFs("64k");
    const into = `${disk.path}/image`;
    const large = await pushImage(registry, "apps/b:1", {
      layers: [await randomLayer({ size: 100_000 })],
    });
    const name = `docker://${large.reference}`;
    assertEquals((await failure(name, { into })).kind, "full");
    await disk.remount("ro");
    assertEquals((await failure(name, { into: `${disk.path}/other` })).kind, "read-only");
  });

  it("has words for a failure without any", () => {
    const expected = { ...other, message: "it said nothing" };
    assertEquals(readFailure(" \n", "docker://h.example/a:1"), expected);
    assertEquals(readFailure("panic: oh\n", "dir:/a"), { ...other, message: "panic: oh" });
  });
});

type FaultRule = FaultProxy["rules"][number];

async function largestFile(path: string): Promise<string> {
  const files = await run("find", [path, "-type", "f", "-printf", "%s %p\n"]);
  const [largest = ""] = files.split("\n").sort((a, b) => parseInt(b) - parseInt(a))
    .filter((line) => line);
  return largest.replace(/^\d+ /, "");
}
