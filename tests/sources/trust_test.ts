import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { copy } from "@std/fs/copy";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  ConfigError,
  docker,
  PolicyError,
  reject,
  type Requirement,
  signedBy,
  sigstoreSigned,
  stowage,
} from "@stowage/stowage";
import { fileLayer, type PushedImage, pushImage, pushIndex, run } from "../support/mod.ts";
import { assertNothingLeft, assertStored, eventsOf, list } from "./fixture.ts";
import {
  acme,
  anything,
  configOf,
  fetchTrusted,
  http,
  mustRefuse,
  only,
  sign,
  trustFixture,
} from "./trust_fixture.ts";

const lab = await trustFixture();
const { dir, store, root, registry, signer, signed, unsigned, alien } = lab;
const options = { store, root };

describe("a policy of GPG keys", () => {
  it("accepts what is signed, and keeps its signature", async () => {
    const { images: [image] } = await fetchTrusted(
      configOf(signed, only(registry.host, acme)),
      options,
    );
    assert(image);
    await assertStored(options.store, image, signed);
    assert((await list(image.path)).includes("signature-1"));
    await assertNothingLeft(options.store, 1);
  });

  it("takes the paths of a config for relative to it, wherever it runs", async () => {
    const key = signedBy("./keys/../keys/acme.gpg");
    const config = configOf(signed, { default: key });
    const { failures } = await fetchTrusted({ ...config, registriesD: "./registries.d/" }, options);
    assertEquals(failures, {});
  });

  it("refuses what is not signed, and says which part of the config does", async () => {
    const policy = only(registry.host, acme);
    const { error, build } = await mustRefuse(PolicyError, configOf(unsigned, policy), options);
    assertStringIncludes(error.message, '"app"');
    assertStringIncludes(error.message, "A signature was required");
    assertStringIncludes(error.hint ?? "", `policy.docker["${registry.host}"] of the config`);
    assertEquals(eventsOf(build.events, "retry"), []);
    await assertNothingLeft(options.store, 0);
  });

  it("refuses a signature of another key", async () => {
    const { error } = await mustRefuse(PolicyError, configOf(alien, { default: acme }), options);
    assertMatch(
      error.message,
      /Source image rejected: it is signed by the key [0-9A-F]{40}, which is none of those it needs$/,
    );
    assertStringIncludes(error.hint ?? "", "policy.default of the config");
    await assertNothingLeft(options.store, 0);
  });

  it("refuses the signature of another image", async () => {
    const folder = ({ name, digest }: PushedImage) =>
      join(signer.lookaside, `${name.split("/").slice(1).join("/")}@${digest.replace(":", "=")}`);
    await copy(folder(signed), folder(unsigned));
    try {
      const { error } = await mustRefuse(
        PolicyError,
        configOf(unsigned, { default: acme }),
        options,
      );
      assertStringIncludes(error.message, "Source image rejected");
      await assertNothingLeft(options.store, 0);
    } finally {
      await Deno.remove(folder(unsigned), { recursive: true });
    }
  });

  it("holds a tag to a signature for it, and a digest to one for its repository", async () => {
    const old = await pushImage(registry, "team/moved:old", {
      layers: [await fileLayer({ old: "1" })],
    });
    await sign(signer, registry, old);
    // Whoever can write to the registry points a tag to what was signed as another one.
    const headers = { "content-type": old.mediaType };
    const body = { method: "PUT", headers, body: old.manifest };
    const answer = await registry.fetch("/v2/team/moved/manifests/new", body);
    await answer.body?.cancel();
    const name = `${registry.host}/team/moved:new`;
    const policy = { default: acme };
    const { error } = await mustRefuse(PolicyError, configOf(docker(name, http), policy), options);
    assertStringIncludes(error.message, "is not accepted");
    await assertNothingLeft(options.store, 0);

    const pinned = docker(name, { ...http, digest: old.digest });
    const exact = signedBy("keys/acme.gpg", { signedIdentity: { type: "matchExact" } });
    await mustRefuse(PolicyError, configOf(pinned, { default: exact }), options);
    const { failures } = await fetchTrusted(configOf(pinned, policy), options);
    assertEquals(failures, {});
    // What the store has by now is held to it as well.
    await mustRefuse(PolicyError, configOf(docker(name, http), policy), options);
    // Nor does it help that stowage has written down what the tag was.
    for (const source of [docker(name, http), docker(old.reference, http)]) {
      const config = configOf(source, policy);
      const { lock } = await stowage(config, options).makeLock();
      const locked = { ...options, lock };
      if (source.reference === name) await mustRefuse(PolicyError, config, locked);
      else assertEquals((await fetchTrusted(config, locked)).failures, {});
      await Deno.remove(options.store, { recursive: true });
      if (source.reference === name) await mustRefuse(PolicyError, config, locked);
      else assertEquals((await fetchTrusted(config, locked)).failures, {});
    }
  });

  it("asks it of each image of an index", async () => {
    const platforms = ["linux/amd64", "linux/arm64"];
    const images = await Promise.all(
      platforms.map(async (platform) =>
        await pushImage(registry, "team/multi", {
          platform,
          layers: [await fileLayer({ [platform]: "x" })],
        })
      ),
    );
    const index = await pushIndex(registry, "team/multi:1", images);
    const source = docker(index.reference, { ...http, platforms, index: true });
    const config = configOf(source, { default: acme });
    const before = await fetchTrusted(config, options);
    assertEquals(before.images, []);
    for (const error of Object.values(before.failures)) assert(error instanceof PolicyError);
    await sign(signer, registry, index);
    const { images: fetched } = await fetchTrusted(config, options);
    assertEquals(fetched.map(({ id }) => id), images.map(({ id }) => id));
    for (const { path } of fetched) assert((await list(path)).includes("signature-1"));
  });

  it("takes the name before a move, where the config says so", async () => {
    const moved = await pushImage(registry, "mirror/moved:1", {
      layers: [await fileLayer({ moved: "1" })],
    });
    await sign(signer, registry, moved, "quay.io/acme/moved:1");
    await mustRefuse(PolicyError, configOf(moved, { default: acme }), options);
    const remapped = signedBy("keys/acme.gpg", {
      signedIdentity: {
        type: "remapIdentity",
        prefix: `${registry.host}/mirror`,
        signedPrefix: "quay.io/acme",
      },
    });
    const exact = signedBy("keys/acme.gpg", {
      signedIdentity: { type: "exactReference", dockerReference: "quay.io/acme/moved:1" },
    });
    for (const requirement of [remapped, exact]) {
      for (let times = 0; times < 2; times++) {
        const { failures } = await fetchTrusted(
          configOf(moved, { default: requirement }),
          options,
        );
        assertEquals(failures, {});
      }
    }
  });
});

describe("scopes of a policy", () => {
  const cases = (): [string, boolean][] => [
    [registry.host, true],
    [`${registry.host}/team`, true],
    [`${registry.host}/team/unsigned`, true],
    [`${registry.host}/team/unsigned:1`, true],
    ["", true],
    [`${registry.host}/team/unsigned:2`, false],
    [`${registry.host}/other`, false],
    ["quay.io", false],
  ];

  it("count where they fit, also for one tag although skopeo is told a digest", async () => {
    for (const [scope, fits] of cases()) {
      const policy = { default: anything, docker: { [scope]: acme } };
      const { failures } = await fetchTrusted(configOf(unsigned, policy), {
        ...options,
        store: dir.join(`store-${scope.replaceAll(/\W/g, "-")}`),
      });
      assertEquals(failures["source/app"] instanceof PolicyError, fits, `"${scope}"`);
    }
  });

  it("count more the longer they are", async () => {
    const { host } = registry;
    const docker = {
      [host]: reject(),
      [`${host}/team/unsigned`]: anything,
      [`${host}/team`]: acme,
    };
    const config = configOf(unsigned, { default: reject(), docker });
    assertEquals((await fetchTrusted(config, options)).failures, {});
    await mustRefuse(PolicyError, configOf(alien, { default: anything, docker }), options);
    assertEquals(
      (await fetchTrusted(configOf(signed, { default: reject(), docker }), options)).failures,
      {},
    );
  });

  it("that are none are mistakes of the config", async () => {
    for (
      const scope of ["nginx", "https://quay.io", "docker://quay.io", "quay.io/", "quay.io/A", "*"]
    ) {
      try {
        await fetchTrusted(configOf(unsigned, only(scope, anything)), options);
      } catch (error) {
        assert(error instanceof ConfigError);
        assertStringIncludes(error.message, scope);
        continue;
      }
      throw new Error(`it took "${scope}"`);
    }
  });
});

describe("a policy that is wrong", () => {
  it("names the key that is not there, or is none", async () => {
    await Deno.writeTextFile(join(root, "keys/junk.gpg"), "junk");
    await Deno.writeTextFile(join(root, "keys/empty.gpg"), "");
    const cases: [Requirement, string, string][] = [
      [signedBy("keys/none.gpg"), "keys/none.gpg", "is not there"],
      [signedBy("keys/junk.gpg"), "keys/junk.gpg", "has no GPG public key"],
      [signedBy("keys/empty.gpg"), "keys/empty.gpg", "has no GPG public key"],
      [signedBy("keys"), "keys", "cannot be read"],
      [signedBy({ keyPaths: ["keys/acme.gpg", "keys/junk.gpg"] }), "keys/junk.gpg", "has no GPG"],
      [sigstoreSigned("keys/none.pub"), "keys/none.pub", "is not there"],
      [sigstoreSigned("keys/acme.gpg"), "keys/acme.gpg", "has no public key in PEM"],
    ];
    for (const [requirement, file, problem] of cases) {
      const policy = { default: anything, docker: { [registry.host]: requirement } };
      const { error } = await mustRefuse(PolicyError, configOf(signed, policy), options);
      assertStringIncludes(error.message, `"app"`);
      assertStringIncludes(error.message, `"${join(root, file)}" ${problem}`);
      assertStringIncludes(error.hint ?? "", `policy.docker["${registry.host}"]`);
    }
    await assertNothingLeft(options.store, 0);
  });

  it("says so of a key in the config itself", async () => {
    const policy = { default: signedBy({ keyData: btoa("junk") }) };
    const { error } = await mustRefuse(PolicyError, configOf(signed, policy), options);
    assertStringIncludes(error.message, "its keyData has no GPG public key");
  });

  it("takes several keys, and one in the config itself", async () => {
    const bytes = await Deno.readFile(signer.publicKey);
    const requirements = [
      signedBy({ keyPaths: [lab.stranger.publicKey, "keys/acme.gpg"] }),
      signedBy({ keyData: btoa(String.fromCharCode(...bytes)) }),
    ];
    for (const [n, requirement] of requirements.entries()) {
      const store = dir.join(`store-${n}`);
      const config = (image: PushedImage) => configOf(image, { default: requirement });
      assertEquals((await fetchTrusted(config(signed), { ...options, store })).failures, {});
      await mustRefuse(PolicyError, config(unsigned), { ...options, store });
    }
  });

  it("takes an armored key as well", async () => {
    const home = signer.env.GNUPGHOME;
    const text = await run("gpg", ["--homedir", home, "--armor", "--export"]);
    await Deno.writeTextFile(join(root, "keys/acme.asc"), text);
    const policy = { default: signedBy("keys/acme.asc") };
    assertEquals((await fetchTrusted(configOf(signed, policy), options)).failures, {});
  });

  it("names the folder of signatures that is not there", async () => {
    const config = { ...configOf(signed, { default: acme }), registriesD: "registry.d" };
    const { error } = await mustRefuse(ConfigError, config, options);
    assertStringIncludes(error.message, "registriesD");
    assertStringIncludes(error.message, join(root, "registry.d"));
  });
});
