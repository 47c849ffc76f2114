/** What `registries` of a config says counts wherever a registry is asked. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  docker,
  images,
  install,
  RunError,
  stowage,
  type StowageOptions,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, type Registry, startRegistry } from "../support/mod.ts";

const AUTH = { user: "ann", password: "open-sesame-77" };
const { dir, at, registry } = await fixture({ registry: { auth: AUTH } });
const app = await pushImage(registry, "team/app:1", { layers: [await fileLayer({ a: "1" })] });

/** A file with the login of a registry, beside the config. */
async function login({ host }: Pick<Registry, "host">, password = AUTH.password): Promise<string> {
  const auth = btoa(`${AUTH.user}:${password}`);
  const name = `auth-${crypto.randomUUID()}.json`;
  await Deno.writeTextFile(dir.join(name), JSON.stringify({ auths: { [host]: { auth } } }));
  return name;
}

const open = (config: Config, options: StowageOptions = {}) =>
  stowage({ digests: "ignore", ...config }, {
    ...{ ...at, retryDelay: 0, attempts: 1, platform: "linux/amd64" },
    ...options,
  });

const sources = { app: docker(`${registry.host}/team/app:1`) };

async function settings() {
  return { [registry.host]: { tlsVerify: false, authFile: await login(registry) } };
}

describe("settings of a registry that wants a login, and has no TLS", () => {
  it("count for lock, plan, fetch and outdated", async () => {
    const config = { registries: await settings(), sources };
    const { lock } = await open(config).makeLock();
    assertEquals(lock.sources["app"]?.platforms["linux/amd64"]?.id, app.id);
    const locked = open(config, { lock });
    assertEquals((await locked.plan()).sources.map(({ status }) => status), ["fetch"]);
    assertEquals((await locked.fetch()).images.map(({ id }) => id), [app.id]);
    assertEquals((await locked.outdated()).outdated, []);
    await assertRejects(() => open({ sources }).makeLock(), RunError);
  });

  it("are those of the longest key, and an option of the source counts more", async () => {
    const [right, wrong] = [await login(registry), await login(registry, "wrong")];
    const { host } = registry;
    const registries = {
      [host]: { tlsVerify: false, authFile: wrong },
      [`${host}/team`]: { tlsVerify: false, authFile: right },
    };
    assertEquals((await open({ registries, sources }).fetch()).images.map(({ id }) => id), [
      app.id,
    ]);
    await Deno.remove(at.store, { recursive: true });
    const own = { app: docker(`${host}/team/app:1`, { authFile: wrong }) };
    const error = await assertRejects(() => open({ registries, sources: own }).fetch(), RunError);
    const hint = error.failures["source/app"]?.hint ?? "";
    assertStringIncludes(hint, `skopeo login ${host}`);
    assertStringIncludes(hint, "registries");
  });

  it("count for repairs of what no source names any more", async () => {
    const registries = await settings();
    await open({ registries, sources }).fetch();
    const image = join(at.store, "sources/org.osbuild.containers", app.id, "image");
    const [layer] = app.layers;
    assert(layer);
    for (const path of [join(image, layer.digest.slice(7)), blobOf(layer.digest)]) {
      await Deno.remove(path);
    }
    const { repaired = [], left = [] } = await open({ registries }).verify({ repair: true });
    assertEquals([repaired.map(({ from }) => from), left], [
      [`docker://${registry.host}/team/app@${app.digest}`],
      [],
    ]);
  });

  it("count for a mirror as far as TLS goes", async () => {
    await using origin = await startRegistry();
    await pushImage(origin, "team/app:1", { layers: [await fileLayer({ a: "1" })] });
    const registries = { [origin.host]: { tlsVerify: false } };
    const pinned = docker(`mirrored.invalid/team/app@${app.digest}`);
    const config = { registries, sources: { app: pinned } };
    const mirrors = { "mirrored.invalid": [origin.host] };
    const { images: [image] } = await open({ ...config, mirrors }).fetch();
    assertEquals(image?.id, app.id);
  });
});

describe("settings of a registry that is sent to", () => {
  it("count for push, whose own options count more", async () => {
    await using target = await startRegistry({ auth: AUTH, tls: true });
    const { certDir = "" } = target.tls ?? {};
    const registries = {
      ...await settings(),
      [`${target.host}/mirror`]: { authFile: await login(target), certDir },
    };
    const stow = open({ registries, sources });
    const { images: pushed } = await stow.push({ to: `${target.host}/mirror` });
    assertEquals(pushed.map(({ digest }) => digest), [app.digest]);
    const plan = await stow.planPush({ to: `${target.host}/mirror` });
    assertEquals(plan.sources.map(({ status }) => status), ["present"]);

    const authFile = await login(target, "wrong");
    const to = { to: `${target.host}/mirror`, authFile };
    const error = await assertRejects(() => stow.push(to), RunError);
    assertStringIncludes(error.failures["source/app"]?.hint ?? "", `skopeo login ${target.host}`);
  });

  it("count for an install into registries, each with its own", async () => {
    await using other = await startRegistry();
    const registries = { ...await settings(), [other.host]: { tlsVerify: false } };
    const names = [`${registry.host}/copy/app:1`, `${other.host}/copy/app:1`];
    await open({
      registries,
      sources,
      inputs: { apps: images({ app: names }) },
      stages: { sent: install({ inputs: ["apps"], destination: { type: "docker" } }) },
    }).build();
    for (const each of [registry, other]) {
      const answer = await each.fetch("/v2/copy/app/manifests/1", {
        headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
      });
      assertEquals(await answer.text(), app.manifest);
    }
  });
});

function blobOf(digest: string): string {
  return join(at.store, "blobs/sha256", digest.slice(7));
}
