import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "@std/path";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import {
  type Config,
  ConfigError,
  containersStorage,
  type Destination,
  docker,
  images,
  insecureAcceptAnything,
  install,
  PolicyError,
  reject,
  signedBy,
  StageError,
} from "@stowage/stowage";
import { fixture, forThisFile } from "../support/fixture.ts";
import {
  fileLayer,
  makeSigner,
  nginxLikeLayer,
  type PushedIndex,
  pushImage,
  pushIndex,
  type Registry,
  skopeo,
  startRegistry,
} from "../support/mod.ts";
import { buildAll, mustBuild } from "../build/fixture.ts";
import { list } from "./fixture.ts";
import { registriesOf, sign } from "./trust_fixture.ts";

const http = { tlsVerify: false };
const STORAGE = "/var/lib/containers/storage";

const { dir, registry } = await fixture({ registry: true });
const signer = await forThisFile(makeSigner());
const app = await pushImage(registry, "app:1", { layers: [await nginxLikeLayer()] });
const platforms = ["linux/amd64", "linux/arm64"];
const several = await Promise.all(platforms.map(async (platform) => {
  const layers = [await fileLayer({ platform })];
  return await pushImage(registry, "multi", { platform, layers });
}));
const index = await pushIndex(registry, "multi:1", several);
for (const image of [app, index]) await sign(signer, registry, image);

async function configOf(
  image: PushedIndex,
  destination: Destination,
  more: { removeSignatures?: boolean; name?: string } = {},
): Promise<Config> {
  const { name = "localhost/app:1", ...rest } = more;
  const isIndex = image === index;
  return {
    policy: { default: reject(), docker: { [registry.host]: signedBy(signer.publicKey) } },
    registriesD: await registriesOf(signer, registry),
    digests: "ignore",
    sources: {
      app: docker(image.reference, {
        ...http,
        ...(isIndex && { index: true, platform: "linux/arm64" }),
      }),
    },
    inputs: { apps: images({ app: name }) },
    stages: { os: install({ inputs: ["apps"], destination, ...rest }) },
  };
}

const options = () => ({ store: dir.join("store"), out: dir.join("out") });

/** Whether skopeo takes an image of the built storage for signed, under the name it came by. */
async function isSigned(reference: string, architecture = "amd64"): Promise<boolean> {
  const signedIdentity = { type: "exactReference", dockerReference: reference };
  const keys = { type: "signedBy", keyType: "GPGKeys", keyPath: signer.publicKey };
  const policy = dir.join("check.json");
  await Deno.writeTextFile(policy, JSON.stringify({ default: [{ ...keys, signedIdentity }] }));
  const image = `${storage()}localhost/app:1`;
  const copy = ["copy", "--quiet", "--remove-signatures", image, `dir:${dir.join("check")}`];
  return await skopeo("--policy", policy, "--override-arch", architecture, ...copy)
    .then(() => true, (error) => {
      assertStringIncludes(error.message, "no signature exists");
      return false;
    });
}

function storage(): string {
  return `containers-storage:[vfs@${dir.join("out/os")}${STORAGE}+${dir.join("run")}]`;
}

describe("the signatures of an image", () => {
  for (const what of ["an image", "an image of an index"]) {
    it(`are installed into a containers-storage with ${what}`, async () => {
      const image = what === "an image" ? app : index;
      const destination = { type: "containers-storage", path: STORAGE, driver: "vfs" } as const;
      await mustBuild(await configOf(image, destination), options());
      const architecture = what === "an image" ? "amd64" : "arm64";
      assert(await isSigned(image.reference, architecture));
    });
  }

  it("are installed into a folder", async () => {
    await mustBuild(await configOf(app, { type: "dir", path: "/app" }), options());
    assert((await list(dir.join("out/os/app"))).includes("signature-1"));
  });

  it("are not left out unasked where the format cannot hold them", async () => {
    for (const type of ["oci", "oci-archive", "docker-archive"] as const) {
      const destination = { type, path: "/app" };
      const { failures } = await buildAll(await configOf(app, destination), options());
      const { "stage/os": error } = failures;
      assert(error instanceof StageError, type);
      assertStringIncludes(error.message, `is signed, and ${type} cannot hold that`);
      assertStringIncludes(error.hint ?? "", "removeSignatures: true on stages.os");
      const config = await configOf(app, destination, { removeSignatures: true });
      const build = await mustBuild(config, { ...options(), out: dir.join(type) });
      assert(build.out["os"] && (await list(build.out["os"])).includes("app"));
    }
  });

  it("are left out of a storage where that is asked for", async () => {
    const destination = { type: "containers-storage", path: STORAGE, driver: "vfs" } as const;
    const config = await configOf(app, destination, { removeSignatures: true });
    await mustBuild(config, options());
    assert(!await isSigned(app.reference));
  });

  it("are asked for where a storage is the source, and not taken out of it", async () => {
    const destination = { type: "containers-storage", path: STORAGE, driver: "vfs" } as const;
    const name = app.reference;
    await mustBuild(await configOf(app, destination, { name }), options());
    const [root, run] = [`${dir.join("out/os")}${STORAGE}`, dir.join("run")];
    const config = (key: string): Config => ({
      policy: { default: signedBy(key) },
      digests: "ignore",
      sources: { app: containersStorage(name, { location: `[vfs@${root}+${run}]` }) },
    });
    for (let times = 0; times < 2; times++) {
      const { images: [image] } = await mustBuild(config(signer.publicKey), {
        store: dir.join("other"),
      });
      assertEquals(image?.id, app.id);
    }
    await using stranger = await makeSigner();
    const { failures } = await buildAll(config(stranger.publicKey), { store: dir.join("third") });
    assert(failures["source/app"] instanceof PolicyError);
  });
});

describe("a registry as a destination", () => {
  const auth = { user: "ann", password: "open-sesame-5d2" };
  let safe: Registry;

  beforeEach(async () => {
    safe = await startRegistry({ tls: true, auth });
    const auths = { [safe.host]: { auth: btoa(`${auth.user}:${auth.password}`) } };
    await Deno.mkdir(dir.join("project/.docker"), { recursive: true });
    const text = JSON.stringify({ auths });
    await Deno.writeTextFile(dir.join("project/auth.json"), text);
    await Deno.writeTextFile(dir.join("project/.docker/config.json"), text);
    await Deno.rename(safe.tls!.certDir, dir.join("project/certs"));
  });

  afterEach(async () => await safe[Symbol.asyncDispose]());

  async function push(destination: Destination) {
    const name = `${safe.host}/copy:1`;
    const config = {
      ...await configOf(app, destination, { name, removeSignatures: true }),
      policy: { default: insecureAcceptAnything() },
    };
    return await buildAll(config, { store: dir.join("store"), root: dir.join("project") });
  }

  it("is reached with a private CA and a password, which nobody is told", async () => {
    const destination = { type: "docker", certDir: "certs", authFile: "auth.json" } as const;
    const { failures, stages: [stage], events } = await push(destination);
    assertEquals(failures, {});
    const answer = await safe.fetch(`/v2/copy/manifests/1`, {
      headers: { accept: app.mediaType },
    });
    assertEquals(await answer.text(), app.manifest);
    const told = JSON.stringify([events, stage]);
    for (const word of [auth.password, btoa(`${auth.user}:${auth.password}`)]) {
      assert(!told.includes(word), word);
    }
  });

  it("is given the credentials of this machine, as skopeo finds them", async () => {
    const destination = { type: "docker", certDir: "certs" } as const;
    const before = Deno.env.get("HOME") ?? "";
    Deno.env.set("HOME", dir.join("project"));
    try {
      assertEquals((await push(destination)).failures, {});
    } finally {
      Deno.env.set("HOME", before);
    }
  });

  it("has the signatures where registriesD says, and a fetch from there finds them", async () => {
    const name = `${registry.host}/installed:1`;
    for (const image of [app, index]) {
      const config = await configOf(image, { type: "docker", ...http }, { name });
      await mustBuild(config, options());
      const { digest } = image === app ? app : several[1]!;
      const place = `installed@${digest.replace(":", "=")}`;
      assertEquals(await list(join(signer.lookaside, place)), ["signature-1"]);
      // Nothing is where skopeo puts signatures when it is not told.
      for (const folder of ["/var/lib", join(Deno.env.get("HOME") ?? "/", ".local/share")]) {
        const own = join(folder, "containers/sigstore", place);
        await assertRejects(() => Deno.stat(own), Deno.errors.NotFound);
      }
      const signedIdentity = {
        type: "exactReference",
        dockerReference: image.reference,
      } as const;
      const again = {
        ...config,
        policy: { default: signedBy(signer.publicKey, { signedIdentity }) },
        sources: { app: docker(name, http) },
        inputs: {},
        stages: {},
      };
      const { images: [fetched] } = await mustBuild(again, { store: dir.join(digest) });
      assertEquals(fetched?.digest, digest);
    }
  });

  it("is not given signatures where no file can be written", async () => {
    const folder = dir.join("read-only.d");
    await Deno.mkdir(folder);
    const lookaside = "https://signatures.example";
    const text = JSON.stringify({ docker: { [`${registry.host}/copies`]: { lookaside } } });
    await Deno.writeTextFile(join(folder, "copies.yaml"), text);
    const name = `${registry.host}/copies:1`;
    const config = await configOf(app, { type: "docker", ...http }, { name });
    await mustBuild(config, { ...options(), names: ["app"] });
    const { failures: { "stage/os": error } } = await buildAll(
      { ...config, policy: { default: insecureAcceptAnything() }, registriesD: folder },
      options(),
    );
    assert(error instanceof StageError, `${error}`);
    assertStringIncludes(error.log, "https lookaside https://signatures.example");
    assertStringIncludes(error.hint ?? "", "name a folder as lookaside-staging");
  });

  it("is not asked where there is no folder that registriesD says", async () => {
    const name = `${registry.host}/nowhere:1`;
    const config = await configOf(app, { type: "docker", ...http }, { name });
    await mustBuild(config, { ...options(), names: ["app"] });
    const { failures } = await buildAll({ ...config, registriesD: dir.join("none") }, options());
    assert(Object.values(failures)[0] instanceof ConfigError);
  });

  it("is not reached without them", async () => {
    const { failures: { "stage/os": open } } = await push({
      type: "docker",
      authFile: "auth.json",
    });
    assertStringIncludes(open?.message ?? "", "x509");
    assert(open instanceof StageError);
    assertStringIncludes(open.log, dir.join("project/auth.json"));
    assert(!open.log.includes(auth.password));
    const { failures: { "stage/os": wrong } } = await push({ type: "docker", certDir: "certs" });
    assertMatch(wrong?.message ?? "", /unauthorized|authentication required/);
    for (const error of [open, wrong]) assert(!error?.message.includes(auth.password));
  });
});
