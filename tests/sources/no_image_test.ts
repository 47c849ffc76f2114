import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ContentError, docker, fromDir } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, putBlob, putManifest, skopeo } from "../support/mod.ts";
import { assertNothingLeft, mustFail, mustFetch } from "./fixture.ts";

const http = { tlsVerify: false };
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const EMPTY = "application/vnd.oci.empty.v1+json";

const { dir, store, registry, proxy } = await fixture({ registry: true });
const layer = await fileLayer({ a: "b" });
const app = await pushImage(registry, "app:1", { layers: [layer] });

/** Puts something into the registry that is no image; the proxy serves it. */
async function put(type: string, config: string, more: Readonly<Record<string, unknown>> = {}) {
  const blob = { mediaType: type, ...await putBlob(registry, "thing", config) };
  const content = await putBlob(registry, "thing", "content");
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: blob,
    layers: [{ mediaType: "application/octet-stream", ...content }],
    ...more,
  });
  await putManifest(registry, "thing:1", manifest, MANIFEST);
  return docker(`${proxy.host}/thing:1`, http);
}

describe("what a registry has, and is no image", () => {
  const meta = '{"name":"web","version":"1.0.0"}';
  const wasm = '{"architecture":"wasm","os":"wasip2","layerDigests":[]}';
  const kinds: Record<string, [type: string, config: string, artifactType?: string]> = {
    "a Helm chart (application/vnd.cncf.helm.config.v1+json)": [
      "application/vnd.cncf.helm.config.v1+json",
      meta,
    ],
    "a WebAssembly module (application/vnd.wasm.config.v0+json)": [
      "application/vnd.wasm.config.v0+json",
      wasm,
    ],
    "an artifact (application/octet-stream)": [EMPTY, "{}"],
    "an artifact (application/vnd.acme.firmware)": [EMPTY, "{}", "application/vnd.acme.firmware"],
    "an SBOM (application/spdx+json)": [EMPTY, "{}", "application/spdx+json"],
    "an artifact (application/vnd.acme.config)": ["application/vnd.acme.config", "no JSON"],
    "a plugin of docker (application/vnd.docker.plugin.v1+json)": [
      "application/vnd.docker.plugin.v1+json",
      meta,
    ],
  };
  for (const [what, [type, config, artifactType]] of Object.entries(kinds)) {
    it(`is called what it is, before it comes: ${what}`, async () => {
      const source = await put(type, config, artifactType ? { artifactType } : {});
      const { error } = await mustFail(ContentError, source, { store });
      assertStringIncludes(error.message, `it is no image but ${what}`);
      assert(error.hint?.includes(" pull") || error.hint?.includes(" install"), error.hint);
      const blobs = proxy.requests.filter(({ path }) => path.includes("/blobs/"));
      assertEquals(blobs.length, 1);
      await assertNothingLeft(store, 0);
    });
  }

  it("is called so in a folder too", async () => {
    await put("application/vnd.cncf.helm.config.v1+json", meta);
    const folder = dir.join("thing");
    await skopeo(
      "copy",
      "--src-tls-verify=false",
      `docker://${registry.host}/thing:1`,
      `dir:${folder}`,
    );
    const { error } = await mustFail(ContentError, fromDir(folder), { store });
    assertStringIncludes(error.message, "it is no image but a Helm chart");
  });
});

describe("an image", () => {
  it("may call its config what it likes, and itself an artifact", async () => {
    const config = await (await registry.fetch(`/v2/app/blobs/${app.id}`)).text();
    for (const type of ["application/octet-stream", "application/vnd.acme.config", EMPTY]) {
      const blob = { mediaType: type, ...await putBlob(registry, "app", config) };
      const given = { ...JSON.parse(app.manifest), config: blob, artifactType: "application/acme" };
      await putManifest(registry, "app:odd", JSON.stringify(given), MANIFEST);
      const source = docker(`${registry.host}/app:odd`, http);
      const { image } = await mustFetch(source, { store: dir.join(crypto.randomUUID()) });
      assertEquals(image.id, app.id);
    }
  });
});
