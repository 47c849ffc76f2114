import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { copy } from "@std/fs/copy";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  containersStorage,
  ContentError,
  docker,
  fromDir,
  fromOciArchive,
  type Policy,
  PolicyError,
  reject,
  signedBy,
  type Source,
} from "@stowage/stowage";
import {
  busyboxLayer,
  containerStorage,
  copyTo,
  fileLayer,
  makeLegacyEntry,
  nginxLikeLayer,
  pushImage,
  skopeo,
  startFaultProxy,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, list } from "./fixture.ts";
import {
  acme,
  anything,
  configOf,
  fetchTrusted,
  http,
  mustRefuse,
  only,
  trustFixture,
} from "./trust_fixture.ts";

const lab = await trustFixture();
const { dir, store, root, registry, stranger, signed, unsigned } = lab;
const options = { store, root };

describe("what is in the store already", () => {
  const strict = (): Policy => only(registry.host, acme);
  const lax = { default: anything };

  it("is asked for by the policy of now, by its own signatures", async () => {
    await fetchTrusted(configOf(signed, strict()), options);
    await using proxy = await startFaultProxy(registry);
    for (const policy of [strict(), { default: acme }]) {
      const { images: [image] } = await fetchTrusted(configOf(signed, policy), {
        ...options,
        offline: true,
      });
      assertEquals(image?.status, "cached");
    }
    const other = signedBy(stranger.publicKey);
    await mustRefuse(PolicyError, configOf(signed, { default: other }), options);
    await mustRefuse(PolicyError, configOf(signed, { default: reject() }), options);
    assertEquals(proxy.requests, []);
  });

  it("does not pass because an older policy let it in", async () => {
    await fetchTrusted(configOf(unsigned, lax), options);
    const pinned = docker(unsigned.reference, { ...http, id: unsigned.id });
    for (const source of [unsigned, pinned]) {
      await mustRefuse(PolicyError, configOf(source, strict()), options);
      const { error } = await mustRefuse(PolicyError, configOf(source, strict()), {
        ...options,
        offline: true,
      });
      assertStringIncludes(error.message, "no registry was asked");
    }
    assertEquals((await fetchTrusted(configOf(unsigned, lax), options)).images.length, 1);
  });

  it("does not pass because another source has the same image", async () => {
    const policy = { default: reject(), docker: { [`${registry.host}/free`]: anything, "": acme } };
    const layers = [await busyboxLayer()];
    const free = await pushImage(registry, "free/app:1", { layers });
    assertEquals(free.id, unsigned.id);
    const sources = {
      free: docker(free.reference, http),
      app: docker(unsigned.reference, http),
    };
    const config = { ...configOf(unsigned, policy), sources };
    const { images, failures } = await fetchTrusted(config, { ...options, jobs: 1 });
    assertEquals(images.map(({ name }) => name), ["free"]);
    assert(failures["source/app"] instanceof PolicyError);
  });

  it("gets the signatures that it came without", async () => {
    const { images: [before] } = await fetchTrusted(
      { ...configOf(signed, lax), registriesD: "keys" },
      options,
    );
    assert(before && !(await list(before.path)).includes("signature-1"));
    const { images: [image] } = await fetchTrusted(configOf(signed, strict()), options);
    assertEquals([image?.status, image?.path], ["fetched", before.path]);
    const names = (await list(before.path)).filter((name) => name.startsWith("signature"));
    assertEquals(names, ["signature-1"]);
    await assertNothingLeft(options.store, 1);
    const { images: [again] } = await fetchTrusted(configOf(signed, strict()), {
      ...options,
      offline: true,
    });
    assertEquals(again?.status, "cached");
  });

  it("does not pass under another manifest with the same id", async () => {
    const layer = await nginxLikeLayer({ level: 1 });
    const other = await pushImage(registry, "free/other:1", { layers: [layer] });
    assertEquals(other.id, signed.id);
    assert(other.digest !== signed.digest);
    await fetchTrusted(configOf(other, lax), options);
    const { error } = await mustRefuse(PolicyError, configOf(signed, strict()), options);
    assertStringIncludes(error.message, other.digest);
    assertStringIncludes(error.hint ?? "", options.store);
  });
});

describe("an image with layers that are not of its config", () => {
  it("does not pass for the image whose config it has", async () => {
    const evil = await pushImage(registry, "free/evil:1", {
      layers: [await fileLayer({ evil: "1" })],
    });
    const config = await Deno.readFile(registry.blobPath(signed.id));
    const upload = await registry.fetch("/v2/free/evil/blobs/uploads/", { method: "POST" });
    await upload.body?.cancel();
    const location = new URL(upload.headers.get("location") ?? "");
    location.searchParams.set("digest", signed.id);
    const parts = { ...JSON.parse(evil.manifest), config: JSON.parse(signed.manifest).config };
    const puts = [
      await registry.fetch(location.href, { method: "PUT", body: config }),
      await registry.fetch("/v2/free/evil/manifests/1", {
        method: "PUT",
        headers: { "content-type": evil.mediaType },
        body: JSON.stringify(parts),
      }),
    ];
    for (const { status, body } of puts) {
      await body?.cancel();
      assertEquals(status, 201);
    }
    await mustRefuse(ContentError, configOf(evil, { default: anything }), options);

    // As a tool that does not look puts it there.
    const { reference, digest, id } = signed;
    const image = join(options.store, "sources/org.osbuild.containers", id, "image");
    await Deno.mkdir(image, { recursive: true });
    await skopeo("copy", ...registry.flags("src"), `docker://${evil.reference}`, `dir:${image}`);
    for (const pins of [{}, { digest }, { digest, id }]) {
      const config = configOf(docker(reference, { ...http, ...pins }), { default: anything });
      const { error } = await mustRefuse(ContentError, config, options);
      assertStringIncludes(error.hint ?? "", `remove "${options.store}`);
    }
    await Deno.remove(image, { recursive: true });
    const { images: [fetched] } = await fetchTrusted(
      configOf(signed, { default: anything }),
      options,
    );
    await assertStored(options.store, fetched!, signed);
  });
});

describe("what is no registry", () => {
  it("is under the default: refused by reject and signedBy, also as a fallback", async () => {
    await copyTo(registry, unsigned, `oci-archive:${join(root, "app.oci.tar")}:app`);
    await copyTo(registry, unsigned, `dir:${join(root, "app")}`);
    await using storage = await containerStorage();
    await copyTo(registry, unsigned, storage.reference(unsigned.reference));
    const location = `vfs@${storage.root}+${storage.runRoot}`;
    const away = "127.0.0.1:1/app:1";
    const sources: Source[] = [
      fromOciArchive("app.oci.tar"),
      fromDir("app"),
      containersStorage(unsigned.reference, { location: `[${location}]` }),
      docker(away, { ...http, fallback: [fromOciArchive("app.oci.tar")] }),
    ];
    const free = { "127.0.0.1:1": anything, [registry.host]: anything };
    for (const [index, source] of sources.entries()) {
      const store = dir.join(`store-${index}`);
      for (const requirement of [reject(), acme]) {
        const policy = { default: requirement, docker: free };
        const { error } = await mustRefuse(PolicyError, configOf(source, policy), {
          ...options,
          store,
        });
        assertStringIncludes(error.hint ?? "", "policy.default of the config");
        await assertNothingLeft(store, 0);
      }
      for (const status of ["fetched", "cached"]) {
        const policy = { default: anything, docker: { "": acme } };
        const build = await fetchTrusted(configOf(source, policy), { ...options, store });
        assertEquals(build.failures, {});
        const isCached = index < 3 && status === "cached";
        if (isCached) assertEquals(build.images[0]?.status, "cached");
      }
    }
  });

  it("is accepted if a folder has the signature", async () => {
    const exact = signedBy("keys/acme.gpg", {
      signedIdentity: { type: "exactReference", dockerReference: signed.reference },
    });
    const { images: [image] } = await fetchTrusted(configOf(signed, { default: acme }), options);
    await copy(image!.path, join(root, "app"));
    const store = dir.join("other");
    const config = configOf(fromDir("app"), { default: exact });
    for (const status of ["fetched", "cached"]) {
      const { images: [image], failures } = await fetchTrusted(config, { ...options, store });
      assertEquals(failures, {});
      assertEquals(image?.id, signed.id);
      if (image?.status === "cached") assertEquals(status, "cached");
    }
    await Deno.remove(join(root, "app/signature-1"));
    await mustRefuse(PolicyError, config, { ...options, store: dir.join("third") });
  });

  it("is the archive that an old osbuild left", async () => {
    const source = docker("127.0.0.1:1/app:1", { ...http, id: unsigned.id });
    await makeLegacyEntry(options.store, registry, unsigned);
    const { error } = await mustRefuse(
      PolicyError,
      configOf(source, { default: reject() }),
      options,
    );
    assertStringIncludes(error.message, "docker-archive:");
    for (let times = 0; times < 2; times++) {
      const policy = { default: anything, docker: { "": acme } };
      const { failures } = await fetchTrusted(configOf(source, policy), options);
      assertEquals(failures, {});
    }
  });
});
