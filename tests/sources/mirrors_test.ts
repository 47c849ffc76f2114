import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  ConfigError,
  ContentError,
  docker,
  FetchError,
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

describe("a mirror", () => {
  it("serves what is pinned, under the registry's own name", async () => {
    const location = `${registry.host}/mirror`;
    const config = mirrored(pinned(), { location, ...http });
    const { images: [image], failures } = await fetchTrusted(config, options);
    assertEquals(failures, {});
    assertEquals(image?.from, `docker://${ORIGIN}/team/app@${app.digest}`);
    await assertStored(options.store, image!, app);
    const origin = await Deno.readTextFile(`${image!.path}/../origin.json`);
    assert(!origin.includes(registry.host));
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
    await using origin = await startFaultProxy(registry);
    const source = docker(`${origin.host}/mirror/team/app`, { ...http, digest: app.digest });
    const mirrors = { [origin.host]: [liar.host] };
    const config = { mirrors, sources: { app: source } };
    const { error } = await mustRefuse(ContentError, config, options);
    assertStringIncludes(error.message, "does not match provided manifest digest");
    await assertNothingLeft(options.store, 0);
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
