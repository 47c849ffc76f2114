import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  ConfigError,
  ContentError,
  docker,
  FetchError,
  type ImageResult,
  type Mirror,
  PolicyError,
  reject,
  signedBy,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  type Fault,
  fileLayer,
  makeSigner,
  nginxLikeLayer,
  type ProxyRequest,
  pushImage,
  startFaultProxy,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored } from "./fixture.ts";
import { runJob } from "./job.ts";
import { fetchTrusted, mustRefuse, registriesOf, sign } from "./trust_fixture.ts";

const http = { tlsVerify: false };
// Nothing answers to this name.
const ORIGIN = "registry.invalid";

const { dir, store, registry } = await fixture({ registry: true });
const app = await pushImage(registry, "mirror/team/app:1", { layers: [await nginxLikeLayer()] });
const other = await pushImage(registry, "mirror/team/other:1", {
  layers: [await fileLayer({ a: "b" })],
});
const options = { store, attempts: 1 };

const pinned = () => docker(`${ORIGIN}/team/app`, { digest: app.digest });

function mirrored(source: ReturnType<typeof docker>, ...mirrors: (string | Mirror)[]): Config {
  return { mirrors: { [ORIGIN]: mirrors }, sources: { app: source } };
}

/** The mirrors that an image came from, as its record has them. */
async function mirrorsOf({ path }: ImageResult): Promise<string[]> {
  const { origins } = JSON.parse(await Deno.readTextFile(join(path, "../origin.json")));
  return origins.flatMap(({ mirror }: { mirror?: string }) => mirror ?? []);
}

describe("a mirror", () => {
  it("serves what is pinned, under the registry's own name", async () => {
    const location = `${registry.host}/mirror`;
    const config = mirrored(pinned(), { location, ...http });
    const { images: [image], failures } = await fetchTrusted(config, options);
    assertEquals(failures, {});
    assertEquals(image?.from, `docker://${ORIGIN}/team/app@${app.digest}`);
    await assertStored(options.store, image!, app);
    assertEquals(await mirrorsOf(image!), [`${location}/team/app`]);
  });

  it("is asked in turn, and before the registry", async () => {
    await using first = await startFaultProxy(registry, [{
      match: /manifests/,
      fault: { status: 404 },
    }]);
    await using second = await startFaultProxy(registry);
    await using origin = await startFaultProxy(registry);
    const source = docker(`${origin.host}/mirror/team/app`, { ...http, digest: app.digest });
    const mirrors = { [origin.host]: [first.host, second.host] };
    const { failures } = await fetchTrusted({ mirrors, sources: { app: source } }, options);
    assertEquals(failures, {});
    assert(first.requests.length > 0);
    assert(second.requests.some(({ path }) => path.includes("/blobs/")));
    assertEquals(origin.requests, []);
  });

  it("leaves what it has not to the registry", async () => {
    await using origin = await startFaultProxy(registry);
    const source = docker(`${origin.host}/mirror/team/app`, { ...http, digest: app.digest });
    const mirrors = { [origin.host]: ["127.0.0.1:1", { location: `${registry.host}/empty` }] };
    const { failures } = await fetchTrusted({ mirrors, sources: { app: source } }, options);
    assertEquals(failures, {});
    assert(origin.requests.length > 0);
  });

  it("needs TLS unless the config says otherwise", async () => {
    const config = mirrored(pinned(), `${registry.host}/mirror`);
    const { error } = await mustRefuse(FetchError, config, options);
    assertEquals(error.attempts.map(({ reason }) => reason), ["unreachable"]);
    assertStringIncludes(error.message, `"${registry.host}"`);
  });

  it("that serves something else for a digest is caught", async () => {
    await using liar = await startFaultProxy(registry, [
      { match: /^GET .*manifests/, fault: { body: other.manifest } },
    ]);
    const location = `${liar.host}/mirror`;
    await mustRefuse(ContentError, mirrored(pinned(), { location, ...http }), options);
    await assertNothingLeft(options.store, 0);
  });

  const parts = {
    manifest: ({ path }: ProxyRequest) => path.includes("/manifests/"),
    config: ({ path }: ProxyRequest) => path.endsWith(app.id),
    layer: ({ path }: ProxyRequest) => path.endsWith(app.layers[0]?.digest ?? ""),
  };
  const lacks: [string, Fault][] = [
    ["has not", { status: 404 }],
    ["fails to give", { status: 503 }],
    ["spoils", { flipBit: 30 }],
  ];
  for (const [what, fault] of lacks) {
    for (const [part, match] of Object.entries(parts)) {
      it(`that ${what} a ${part} is passed over for the registry itself`, async () => {
        await using ill = await startFaultProxy(registry, [{ match, fault }]);
        await using origin = await startFaultProxy(registry);
        const source = docker(`${origin.host}/mirror/team/app`, { ...http, digest: app.digest });
        const mirrors = { [origin.host]: [{ location: ill.host, ...http }] };
        const config = { mirrors, sources: { app: source } };
        const { images: [image], failures, events } = await fetchTrusted(config, options);
        assertEquals([failures, events.filter(({ type }) => type === "retry")], [{}, []]);
        await assertStored(options.store, image!, app);
        // Who gives the manifest and the config has given the image.
        const isFromMirror = part === "layer";
        assertEquals(await mirrorsOf(image!), isFromMirror ? [`${ill.host}/mirror/team/app`] : []);
      });
    }
  }

  it("is named where it fails, beside the others", async () => {
    const match = parts.config;
    await using first = await startFaultProxy(registry, [{ match, fault: { status: 404 } }]);
    await using second = await startFaultProxy(registry, [{ match, fault: { status: 404 } }]);
    const mirrors = [first, second].map(({ host }) => ({ location: `${host}/mirror`, ...http }));
    const { error } = await mustRefuse(FetchError, mirrored(pinned(), ...mirrors), options);
    for (const { host } of [first, second]) assertStringIncludes(error.message, host);
  });

  it("that has not the signatures is passed over for one that has", async () => {
    await using signer = await makeSigner();
    await using origin = await startFaultProxy(registry);
    const source = docker(`${origin.host}/mirror/team/app`, { ...http, digest: app.digest });
    await sign(signer, registry, app, `${origin.host}/mirror/team/app:1`);
    const registriesD = await registriesOf(signer, { host: origin.host });
    // The mirror's own name has no signatures.
    await Deno.remove(join(registriesD, `${registry.host}.yaml`));
    const config = {
      registriesD,
      mirrors: { [origin.host]: [{ location: registry.host, ...http }] },
      sources: { app: source },
      policy: { default: reject(), docker: { [origin.host]: signedBy(signer.publicKey) } },
    };
    const { images: [image], failures } = await fetchTrusted(config, options);
    assertEquals(failures, {});
    assertEquals(await mirrorsOf(image!), []);
  });

  it("that serves a spoiled layer is caught", async () => {
    await using liar = await startFaultProxy(registry, [
      { match: /^GET .*blobs/, fault: { flipBit: 30 } },
    ]);
    const location = `${liar.host}/mirror`;
    const config = mirrored(pinned(), { location, ...http });
    await mustRefuse(ContentError, config, options);
    await assertNothingLeft(options.store, 0);
  });

  const ills: [string, Fault][] = [
    ["spoils a layer", { flipBit: 30 }],
    ["has a page in its place", { body: "<!doctype html><title>Log in</title>" }],
    ["cuts it each time", { cutAfter: 10 }],
  ];
  for (const [what, fault] of ills) {
    it(`that ${what} is passed over for the registry itself`, async () => {
      const layer = app.layers[0]?.digest ?? "";
      const match = ({ path }: { path: string }) => path.endsWith(layer);
      await using ill = await startFaultProxy(registry, [{ match, fault }]);
      await using origin = await startFaultProxy(registry);
      const source = docker(`${origin.host}/mirror/team/app`, { ...http, digest: app.digest });
      const mirrors = { [origin.host]: [{ location: ill.host, ...http }] };
      const { images: [image], failures } = await fetchTrusted(
        { mirrors, sources: { app: source } },
        { ...options, attempts: 3 },
      );
      assertEquals(failures, {});
      await assertStored(options.store, image!, app);
      assertEquals([ill, origin].map(({ requests }) => requests.filter(match).length), [1, 1]);
    });
  }

  it("says what a tag is only where the config lets it", async () => {
    const location = `${registry.host}/mirror`;
    const tag = docker(`${ORIGIN}/team/app:1`);
    const config = mirrored(tag, { location, ...http });
    const { error } = await mustRefuse(FetchError, config, options);
    assertEquals(error.attempts.map(({ reason }) => reason), ["unreachable"]);
    const open = mirrored(tag, { location, ...http, tags: true });
    const { images: [image], failures } = await fetchTrusted(open, options);
    assertEquals(failures, {});
    await assertStored(options.store, image!, app);
  });

  it("is below a policy of the registry's own name", async () => {
    await using signer = await makeSigner();
    const location = `${registry.host}/mirror`;
    const source = docker(`${ORIGIN}/team/app:1`);
    const config = {
      ...mirrored(source, { location, ...http, tags: true }),
      policy: { default: reject(), docker: { [ORIGIN]: signedBy(signer.publicKey) } },
    };
    await mustRefuse(PolicyError, config, options);
    await sign(signer, registry, app, `${ORIGIN}/team/app:1`);
    // skopeo looks for signatures by the mirror's name.
    const registriesD = await registriesOf(signer, registry);
    const { failures } = await fetchTrusted({ ...config, registriesD }, options);
    assertEquals(failures, {});
  });

  it("may stand for all registries of a domain", async () => {
    const location = `${registry.host}/mirror`;
    const config = {
      mirrors: { "*.invalid": [{ location, ...http }] },
      sources: { app: pinned() },
    };
    const { failures } = await fetchTrusted(config, options);
    assertEquals(failures, {});
  });

  it("that is none is a mistake of the config", async () => {
    const cases: readonly (readonly [string, string | Mirror])[] = [
      [ORIGIN, "https://mirror.example"],
      [ORIGIN, "mirror.example/"],
      [ORIGIN, { location: "" }],
      ["https://quay.io", "mirror.example"],
      ["nginx", "mirror.example"],
    ];
    for (const [prefix, mirror] of cases) {
      const config = { mirrors: { [prefix]: [mirror] }, sources: { app: pinned() } };
      const error = await fetchTrusted(config, options).catch((error) => error);
      assert(error instanceof ConfigError, JSON.stringify([prefix, mirror]));
      assertStringIncludes(error.message, "mirrors");
    }
  });
});

describe("the machine's own registries.conf", () => {
  it("counts where the config names no mirrors", async () => {
    const containers = dir.join("home/.config/containers");
    await Deno.mkdir(containers, { recursive: true });
    await Deno.writeTextFile(
      `${containers}/registries.conf`,
      `[[registry]]\nprefix = "${ORIGIN}"\nlocation = "${registry.host}/mirror"\ninsecure = true\n`,
    );
    const env = { HOME: dir.join("home") };
    const { images: [image] } = await runJob({ sources: { app: pinned() }, options, env });
    assertEquals(image?.id, app.id);
  });
});
