import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  ConfigError,
  docker,
  RunError,
  type RunEvent,
  type Source,
  stowage,
  type StowageEvent,
} from "@stowage/stowage";
import { stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, pushIndex, type Registry } from "../support/mod.ts";
import {
  type PushedReferrer,
  pushReferrer,
  pushReferrersTag,
  startReferrersApi,
} from "../support/referrers.ts";
import { withoutTime } from "../support/without_time.ts";

const SBOM = "application/spdx+json";
const SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";

const { dir, at, store, registry, proxy } = await fixture({ registry: true });
const amd64 = await pushImage(registry, "web", { layers: [await fileLayer({ a: "amd64" })] });
const arm64 = await pushImage(registry, "web", {
  layers: [await fileLayer({ a: "arm64" })],
  platform: "linux/arm64",
});
const web = [amd64, arm64];
const index = await pushIndex(registry, "web:1", web);

/** An SBOM of the index, one of an image, and a signature by cosign's tag. */
async function pushAll(to: Registry, path: string): Promise<Record<string, PushedReferrer>> {
  const sbom = { artifactType: SBOM, mediaType: SBOM };
  return {
    ofIndex: await pushReferrer(to, path, { subject: index, ...sbom, content: '{"of":"index"}' }),
    ofImage: await pushReferrer(to, path, { subject: amd64, ...sbom, content: '{"of":"image"}' }),
    notary: await pushReferrer(to, path, {
      ...{ subject: index, artifactType: SIGNATURE, content: "signed" },
    }),
    cosign: await pushReferrer(to, `${path}:${index.digest.replace(":", "-")}.sig`, {
      ...{ content: "payload", mediaType: SIMPLE_SIGNING },
    }),
  };
}

const all = await pushAll(registry, "web");
const { ofIndex, ofImage, notary, cosign } = all;
assert(ofIndex && ofImage && notary && cosign);
await pushReferrersTag(registry, "web", index.digest, [ofIndex, notary]);
await pushReferrersTag(registry, "web", amd64.digest, [ofImage]);

const from = (host: string, options = {}, name = "web:1") =>
  docker(`${host}/${name}`, { tlsVerify: false, index: true, referrers: true, ...options });
const open = (source: Source, options = {}) =>
  stowage({ digests: "ignore", sources: { web: source } }, {
    ...at,
    retryDelay: 0,
    platform: "linux/amd64",
    ...options,
  });
const digests = (found: readonly { readonly digest: string }[] = []) =>
  found.map(({ digest }) => digest).sort();
const sorted = (...found: PushedReferrer[]) => digests(found);

describe("referrers", () => {
  it("come by the tag schema and by cosign's tags, once, and are those of the store offline", async () => {
    const events: RunEvent[] = [];
    const images = open(from(proxy.host));
    const onEvent = (event: StowageEvent) => void events.push(withoutTime(event));
    const [image] = (await images.fetch({ onEvent })).images;
    assertEquals(digests(image?.referrers), sorted(ofIndex, ofImage, notary, cosign));
    assertEquals(new Set(image?.referrers?.map(({ status }) => status)), new Set(["fetched"]));
    const kinds = image?.referrers?.map(({ digest, kind }) => [digest, kind]);
    assertEquals(Object.fromEntries(kinds ?? [])[cosign.digest], SIMPLE_SIGNING);
    const told = events.flatMap((event) => event.type === "referrers" ? event.referrers : []);
    assertEquals(digests(told), sorted(ofIndex, ofImage, notary, cosign));
    const folder = join(store, "referrers", index.digest);
    const kept = await Deno.readTextFile(join(folder, ofIndex.content.slice("sha256:".length)));
    assertEquals(kept, '{"of":"index"}');

    const before = proxy.requests.length;
    const again = (await open(from(proxy.host)).fetch()).images[0]?.referrers;
    assertEquals(again?.map(({ status }) => status), Array(4).fill("cached"));
    const later = proxy.requests.slice(before).map(({ path }) => path);
    const contents = [ofIndex, ofImage, notary, cosign].flatMap(({ digest, content }) => [
      ...[digest, content],
    ]);
    assertEquals(later.filter((path) => contents.some((digest) => path.includes(digest))), []);

    const offline = open(from(proxy.host), { offline: true });
    assertEquals(digests((await offline.fetch()).images[0]?.referrers).length, 4);
  });

  it("come by the API, page by page, of the kinds that are wanted", async () => {
    await using api = startReferrersApi(registry, { pageSize: 1 });
    await pushAll(api, "web");
    const [image] = (await open(from(api.host, { referrers: [SBOM] })).fetch()).images;
    assertEquals(digests(image?.referrers), sorted(ofIndex, ofImage));
    const pages = api.requests.filter((line) => line.includes(`/referrers/${index.digest}`));
    assertEquals(pages.length, 2);
    const tag = `/manifests/${index.digest.replace(":", "-")} `;
    assertEquals(api.requests.filter((line) => `${line} `.includes(tag)), []);
    const [both] = (await open(from(api.host)).fetch()).images;
    assertEquals(digests(both?.referrers), sorted(ofIndex, ofImage, notary, cosign));
  });

  it("are refused in a config that names no kinds", () => {
    for (const referrers of [[], ["sbom"], "application/spdx+json"]) {
      const config = { sources: { web: { type: "docker", reference: "web", referrers } } };
      const error = assertThrows(() => compile(JSON.parse(JSON.stringify(config))), ConfigError);
      assertStringIncludes(error.message, "sources.web.referrers");
    }
  });

  it("are not taken where bytes are wrong, and nothing of them is kept", async () => {
    const wrong = { status: 200, body: "x".repeat(14) };
    proxy.rules.push({ match: new RegExp(`/blobs/${ofIndex.content}`), fault: wrong });
    const error = await assertRejects(() => open(from(proxy.host)).fetch(), RunError);
    assertEquals(Object.values(error.failures).map(({ code }) => code), ["CONTENT_MISMATCH"]);
    const files = await Array.fromAsync(Deno.readDir(join(store, "referrers"))).catch(() => []);
    assertEquals(files.filter(({ name }) => name === index.digest), []);
    proxy.rules.length = 0;
    const [image] = (await open(from(proxy.host)).fetch()).images;
    assertEquals(image?.referrers?.length, 4);
  });

  it("are those of the store where the registry fails, and an error where that has none", async () => {
    const down = { match: /\/referrers\//, fault: { status: 503 } } as const;
    proxy.rules.push(down);
    const once = { attempts: 1 };
    const error = await assertRejects(() => open(from(proxy.host), once).fetch(), RunError);
    assertEquals(Object.values(error.failures).map(({ code }) => code), ["FETCH_FAILED"]);
    proxy.rules.length = 0;
    await open(from(proxy.host), once).fetch();
    proxy.rules.push(down);
    const notices: string[] = [];
    const onEvent = (event: RunEvent) => void (event.type === "notice" && notices.push(event.code));
    const [image] = (await open(from(proxy.host), once).fetch({ onEvent })).images;
    assertEquals(image?.referrers?.length, 4);
    assert(notices.includes("REFERRERS_KEPT"));
  });

  it("leaves out what is listed and is no referrer, and says so", async () => {
    const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ b: "c" })] });
    const own = await pushReferrer(registry, "app", { subject: app, content: "own" });
    const other = await pushReferrer(registry, "app", { subject: amd64, content: "other" });
    await pushReferrersTag(registry, "app", app.digest, [own, other]);
    const notices: string[] = [];
    const source = from(registry.host, { index: false }, "app:1");
    const [image] = (await open(source).fetch({
      onEvent: (event) =>
        void (event.type === "notice" && event.code === "REFERRER_LEFT" &&
          notices.push(event.message)),
    })).images;
    assertEquals(digests(image?.referrers), [own.digest]);
    assertEquals(notices.length, 1);
    assertStringIncludes(notices[0] ?? "", other.digest);
    assertStringIncludes(notices[0] ?? "", amd64.digest);
  });

  it("are listed, verified, fetched again, and go with the last image that has them", async () => {
    const source = from(registry.host);
    await open(source).fetch();
    const config = { sources: { web: source } };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config));
    const listed = await open(source).list();
    const image = listed.find(({ id }) => id === amd64.id);
    assertEquals(digests(image?.referrers), sorted(ofIndex, ofImage, notary, cosign));
    const shown = await cli(["ls", "--store", store], { cwd: dir.path });
    assertStringIncludes(shown.stdout, SIMPLE_SIGNING);

    assertEquals((await open(source).verify()).findings, []);
    const path = join(store, "referrers", index.digest, ofIndex.content.slice(7));
    await Deno.writeTextFile(path, '{"of":"indeX"}');
    const { findings } = await open(source).verify();
    assertEquals(findings.map(({ kind, problem, digest }) => [kind, problem, digest]), [
      ["referrer", "content", ofIndex.content],
    ]);
    assertEquals(new Set(findings[0]?.entries), new Set(web.map(({ id }) => id)));
    const missing = await open(source).verify();
    assertEquals(missing.findings.map(({ kind, problem }) => [kind, problem]), [
      ["referrer", "missing"],
    ]);
    await open(source).fetch();
    assertEquals(await Deno.readTextFile(path), '{"of":"index"}');
    assertEquals((await open(source).verify()).findings, []);

    const kept = await open(source).gc();
    assertEquals(kept.garbage.filter(({ kind }) => kind !== "quarantine"), []);
    const one = docker(`${registry.host}/web:1`, {
      ...{ tlsVerify: false, index: true, platform: "linux/arm64" },
    });
    await open(one).gc();
    const subjects = await Array.fromAsync(Deno.readDir(join(store, "referrers")), (e) => e.name);
    assertEquals(subjects.sort(), [index.digest, arm64.digest].sort());
    const tool = await pushImage(registry, "tool:1", { layers: [await fileLayer({ d: "e" })] });
    const other = docker(`${registry.host}/tool@${tool.digest}`, { tlsVerify: false });
    await open(other).gc();
    assertEquals((await Array.fromAsync(Deno.readDir(join(store, "referrers")))).length, 0);
  });
});
