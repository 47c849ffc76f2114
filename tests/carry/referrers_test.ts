import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BundleError,
  docker,
  inspectBundle,
  stowage,
  type StowageEvent,
  verifyBundle,
} from "@stowage/stowage";
import { stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import {
  containerStorage,
  fileLayer,
  pushImage,
  pushIndex,
  type Registry,
  skopeo,
  startFaultProxy,
  startRegistry,
} from "../support/mod.ts";
import { pushReferrer, pushReferrersTag, startReferrersApi } from "../support/referrers.ts";

const SBOM = "application/spdx+json";
const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";

const { dir, at, registry } = await fixture({ registry: true });
const web = [
  await pushImage(registry, "web", { layers: [await fileLayer({ a: "amd64" })] }),
  await pushImage(registry, "web", {
    layers: [await fileLayer({ a: "arm64" })],
    platform: "linux/arm64",
  }),
];
const index = await pushIndex(registry, "web:1", web);
const tag = index.digest.replace(":", "-");
const sbom = await pushReferrer(registry, "web", {
  ...{ subject: index, artifactType: SBOM, content: '{"packages":[]}' },
});
const attestation = await pushReferrer(registry, "web", {
  ...{ subject: index, artifactType: "application/vnd.in-toto+json", content: "{}" },
});
await pushReferrersTag(registry, "web", index.digest, [sbom, attestation]);
const payload = { content: "payload", mediaType: SIMPLE_SIGNING };
const signature = await pushReferrer(registry, `web:${tag}.sig`, payload);

const sources = (referrers: true | readonly string[] = true) => ({
  web: docker(`${registry.host}/web:1`, { tlsVerify: false, index: true, referrers }),
});
const open = (options = {}, referrers?: true | readonly string[]) =>
  stowage({ digests: "ignore", sources: sources(referrers) }, {
    ...at,
    retryDelay: 0,
    platform: "linux/amd64",
    ...options,
  });
const served = async (to: Registry, name: string) =>
  await (await to.fetch(`/v2/web/manifests/${name}`, { headers: ACCEPT })).text();
const OCI = "application/vnd.oci.image";
const ACCEPT = { accept: `${OCI}.manifest.v1+json, ${OCI}.index.v1+json` };
const statuses = (images: Awaited<ReturnType<ReturnType<typeof open>["push"]>>["images"]) =>
  images[0]?.referrers?.map(({ status }) => status);

describe("push with referrers", () => {
  it("writes the list of a registry without the API, and keeps what others have listed", async () => {
    await using target = await startRegistry();
    await using proxy = await startFaultProxy(target);
    const to = { to: proxy.host, tlsVerify: false };
    const planned = async (kinds?: readonly string[]) => {
      const { sources: [web], bytes } = await open({}, kinds).planPush(to);
      return { status: web?.status, referrers: web?.referrers, bytes };
    };
    const plan = await planned([SBOM]);
    const fresh = await planned();
    assertEquals([plan.status, plan.referrers, fresh.referrers], ["push", 1, 3]);
    const { images, traffic } = await open({}, [SBOM]).push(to);
    assertEquals(statuses(images), ["pushed"]);
    assertEquals(traffic.sent, plan.bytes);
    const rest = await planned();
    assertEquals(await planned([SBOM]), { status: "present", referrers: 1, bytes: 0 });
    const others = await pushReferrer(target, "web", { subject: index, content: "others" });
    const list = JSON.parse(await served(target, tag));
    assertEquals(list.manifests.map(({ digest }: { digest: string }) => digest), [sbom.digest]);
    assertEquals(list.manifests[0].artifactType, SBOM);
    assertEquals(list.manifests[0].annotations, JSON.parse(sbom.manifest).annotations);
    await pushReferrersTag(target, "web", index.digest, [sbom, others]);

    const all = await open().push(to);
    assertEquals(statuses(all.images)?.toSorted(), ["present", "pushed", "pushed"]);
    assertEquals([rest.status, rest.bytes], ["push", all.traffic.sent]);
    assertEquals(await planned(), { status: "present", referrers: 3, bytes: 0 });
    const both = JSON.parse(await served(target, tag));
    const digests = both.manifests.map(({ digest }: { digest: string }) => digest);
    assertEquals(digests, [sbom.digest, others.digest, attestation.digest]);
    assertEquals(await served(target, sbom.digest), sbom.manifest);
    assertEquals(await served(target, `${tag}.sig`), signature.manifest);

    const before = proxy.requests.length;
    const again = await open().push(to);
    assertEquals(statuses(again.images), ["present", "present", "present"]);
    assertEquals(again.traffic.sent, 0);
    const methods = new Set(proxy.requests.slice(before).map(({ method }) => method));
    assertEquals(methods, new Set(["GET", "HEAD"]));
  });

  it("leaves the list to a registry with the API, and names the image when all is there", async () => {
    await using target = await startRegistry();
    await using api = startReferrersApi(target);
    const { images } = await open().push({ to: api.host, tlsVerify: false });
    assertEquals(statuses(images), ["pushed", "pushed", "pushed"]);
    const answer = await api.fetch(`/v2/web/referrers/${index.digest}`, { headers: ACCEPT });
    const { manifests } = await answer.json();
    assertEquals(
      manifests.map(({ digest }: { digest: string }) => digest).sort(),
      [sbom.digest, attestation.digest].sort(),
    );
    assertEquals(await target.statusOf(`/v2/web/manifests/${tag}`), 404);
    const puts = api.requests.filter((line) => line.startsWith("PUT /v2/web/manifests/"));
    assertEquals(puts.at(-1), "PUT /v2/web/manifests/1");
    const again = await open({ offline: true }).push({ to: api.host, tlsVerify: false });
    assertEquals(statuses(again.images), ["present", "present", "present"]);
  });

  it("does not replace signatures that others have made there", async () => {
    await using target = await startRegistry();
    const own = { content: "own", mediaType: SIMPLE_SIGNING };
    const theirs = await pushReferrer(target, `web:${tag}.sig`, own);
    const notices: string[] = [];
    const { images } = await open().push({
      ...{ to: target.host, tlsVerify: false },
      onEvent: (event: StowageEvent) =>
        void (event.type === "notice" && event.code === "REFERRER_LEFT" &&
          notices.push(event.message)),
    });
    assertEquals(statuses(images)?.toSorted(), ["left", "pushed", "pushed"]);
    assertStringIncludes(notices.join(), `${tag}.sig`);
    assertEquals(await served(target, `${tag}.sig`), theirs.manifest);
  });

  it("reaches a site without network, on the command line, and finds damage before it is sent", async () => {
    await using target = await startRegistry();
    const config = JSON.stringify({ sources: sources() });
    await Deno.writeTextFile(dir.join("images.config.json"), config);
    assertEquals((await cli(["fetch"], { cwd: dir.path })).code, 0);
    const args = ["push", "--offline", "--to", target.host, "--tls-verify=false"];
    const done = await cli(args, { cwd: dir.path });
    assertEquals(done.code, 0, done.stderr);
    assertStringIncludes(done.stdout, "3 referrers");

    await using other = await startRegistry();
    const referrers = dir.join(".stowage", "referrers", index.digest);
    await Deno.writeTextFile(`${referrers}/${sbom.content.slice(7)}`, '{"packages":{}}');
    const broken = await cli([...args.with(3, other.host), "--json"], { cwd: dir.path });
    assertEquals(broken.code, 3, broken.stdout);
    assertEquals(await other.statusOf("/v2/web/manifests/1", { headers: ACCEPT }), 404);
  });
});

describe("a bundle with referrers", () => {
  const there = (options = {}) => open({ store: dir.join("there"), offline: true, ...options });

  it("carries them to a store without network, and on to its registry, byte for byte", async () => {
    const site = dir.join("site.tar");
    const made = await open().createBundle(site);
    assertEquals([made.images, made.referrers], [2, 3]);
    const info = await verifyBundle(site);
    assertEquals(info.referrers.map(({ kind }) => kind).toSorted(), [
      "application/spdx+json",
      SIMPLE_SIGNING,
      "application/vnd.in-toto+json",
    ]);
    const tagged = ["inspect", "--raw", `oci-archive:${site}:${tag}.sig`];
    assertEquals(await skopeo(...tagged), signature.manifest);

    const loaded = await there().loadBundle(site);
    assertEquals(loaded.referrers.map(({ status }) => status), Array(3).fill("fetched"));
    assertEquals((await there().verify()).findings, []);
    const [image] = await there().list();
    assertEquals(image?.referrers?.length, 3);
    const { images } = await there().fetch();
    assertEquals(images[0]?.referrers?.map(({ status }) => status), Array(3).fill("cached"));

    await using target = await startRegistry();
    const pushed = await there().push({ to: target.host, tlsVerify: false });
    assertEquals(statuses(pushed.images), ["pushed", "pushed", "pushed"]);
    assertEquals(await served(target, "1"), index.manifest);
    for (const { digest, manifest } of [...web, sbom, attestation]) {
      assertEquals(await served(target, digest), manifest);
    }
    assertEquals(await served(target, `${tag}.sig`), signature.manifest);
    const list = JSON.parse(await served(target, tag));
    assertEquals(
      list.manifests.map(({ digest }: { digest: string }) => digest).toSorted(),
      [sbom.digest, attestation.digest].toSorted(),
    );
    await using storage = await containerStorage();
    const name = `${target.host}/web@${index.digest}`;
    await storage.podman("pull", "-q", "--tls-verify=false", name);

    const again = await there().loadBundle(site);
    assertEquals(again.referrers.map(({ status }) => status), Array(3).fill("cached"));
    const copy = dir.join("copy.tar");
    await there().createBundle(copy);
    assertEquals((await verifyBundle(copy)).digest, info.digest);
  });

  it("leaves out those of a receipt, which the receiver has to have", async () => {
    const [first, next, receipt] = ["a.tar", "b.tar", "there.json"].map((name) => dir.join(name));
    assert(first && next && receipt);
    await open({}, [SBOM]).createBundle(first);
    await there().loadBundle(first);
    const { referrers } = await there().receipt({ out: receipt });
    assertEquals(referrers, [{ subject: index.digest, digest: sbom.digest }]);
    await open().createBundle(next, { since: [receipt] });
    const { images, base, referrers: all } = await inspectBundle(next);
    assertEquals([images.length, base.length, all.length], [2, 2, 3]);
    await assertRejects(
      () => there({ store: dir.join("empty") }).loadBundle(next),
      BundleError,
      "it was made for a store that has",
    );
    const loaded = await there().loadBundle(next);
    assertEquals(loaded.referrers.length, 2);
    const { images: [image] } = await there().fetch();
    assertEquals(image?.referrers?.length, 3);

    const kept = dir.join("there", "referrers", index.digest, sbom.content.slice(7));
    await Deno.writeTextFile(kept, '{"packages":{}}');
    const error = await assertRejects(() => there().loadBundle(next), BundleError, sbom.digest);
    assertEquals(error.code, "BUNDLE_INCOMPLETE");
  });

  it("that is not what it says loads nothing", async () => {
    const site = dir.join("site.tar");
    await open().createBundle(site);
    const bytes = await Deno.readFile(site);
    const text = new TextDecoder("latin1").decode(bytes);
    bytes[text.indexOf('{"packages":[]}') + 2] = 0;
    await Deno.writeFile(site, bytes);
    await Deno.remove(`${site}.sums.json`);
    const error = await assertRejects(() => there().loadBundle(site), BundleError);
    assertEquals([error.code, error.items], ["BUNDLE_DAMAGED", [sbom.content]]);
    assertEquals(await there().list(), []);
  });
});
