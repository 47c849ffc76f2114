import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { docker, FetchError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  makeSigner,
  nginxLikeLayer,
  type ProxyRequest,
  type PushedImage,
  pushImage,
  randomLayer,
  type Registry,
  run,
  startFaultProxy,
  startRegistry,
} from "../support/mod.ts";
import { assertNothingLeft, list, mustFail, mustFetch, programsWith, typesOf } from "./fixture.ts";
import { runJob } from "./job.ts";

const http = { tlsVerify: false };
const ANYTHING = JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] });

const { dir, store, registry } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await nginxLikeLayer()] });

/** A home whose files for skopeo are these. */
async function home(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = dir.join("home/.config/containers");
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
  return dir.join("home");
}

describe("a machine without a policy", () => {
  it("accepts images, and says that no signature was checked", async () => {
    const [image, two] = [docker(app.reference, http), docker(app.reference, http)];
    const job = { sources: { app: image, two }, options: { store }, env: { HOME: dir.path } };
    const bare = "mount -t tmpfs none /etc/containers && mount -t tmpfs none " +
      '/usr/share/containers && exec "$0" "$@"';
    const { images, events } = await runJob(job, ["unshare", "--mount", "sh", "-c", bare]);
    assertEquals(images.map(({ id }) => id), [app.id, app.id]);
    const notices = events.filter((event) => event.type === "notice");
    assertEquals(notices.length, 1);
    const [notice] = notices;
    assertEquals(notice?.code, "DEFAULT_POLICY");
    assertStringIncludes(notice?.message ?? "", "/etc/containers/policy.json");
    await assertNothingLeft(store, 1);
  });

  it("that is not this one: here is a policy, and no notice", async () => {
    const { events } = await mustFetch(docker(app.reference, http), { store });
    assertEquals(typesOf(events), ["start", "resolved", "image"]);
  });
});

describe("a policy", () => {
  it("that rejects ends the item, and no other place is tried", async () => {
    await using spare = await startFaultProxy(registry);
    const policy = { default: [{ type: "reject" }] };
    const env = { HOME: await home({ "policy.json": JSON.stringify(policy) }) };
    const fallback = [docker(`${spare.host}/app:1`, http)];
    const sources = { app: docker(app.reference, { ...http, fallback }) };
    const { errors, events } = await runJob({ sources, options: { store }, env });
    assertEquals(errors["source/app"]?.code, "POLICY_REJECTED");
    assertStringIncludes(errors["source/app"]?.message ?? "", "Source image rejected");
    assertStringIncludes(errors["source/app"]?.hint ?? "", "~/.config/containers/policy.json");
    assertEquals(typesOf(events), ["start", "resolved", "failed"]);
    assertEquals(spare.requests.length, 0);
    await assertNothingLeft(store, 0);
  });

  it("that wants a signature gets it, and it is kept", async () => {
    await using signer = await makeSigner();
    const flags = await signer.flags(registry);
    const [, policy = "", , registries = ""] = flags;
    const env = { HOME: await home({ "policy.json": await Deno.readTextFile(policy) }) };
    const containers = `${env.HOME}/.config/containers`;
    await Deno.rename(registries, `${containers}/registries.d`);
    const job = { sources: { app: docker(app.reference, http) }, options: { store }, env };
    const { errors } = await runJob(job);
    assertEquals(errors["source/app"]?.code, "POLICY_REJECTED");
    assertStringIncludes(errors["source/app"]?.message ?? "", "A signature was required");
    await assertNothingLeft(store, 0);

    const reach = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    const name = `docker://${app.reference}`;
    const given = ["--registries.d", `${containers}/registries.d`];
    const sign = ["copy", ...reach, `--sign-by=${signer.fingerprint}`, name, name];
    await run("skopeo", ["--insecure-policy", ...given, ...sign], { env: signer.env });
    const { images: [image] } = await runJob(job);
    assert(image);
    assertEquals(image.id, app.id);
    const blobs = [app.id, ...app.layers.map(({ digest }) => digest)].map((d) => d.slice(7));
    const names = [...blobs, "manifest.json", "signature-1", "version"];
    assertEquals(await list(image.path), names.sort());
  });
});

describe("a registry with TLS", () => {
  it("of a private authority is trusted where its certificate is", async () => {
    await using safe = await startRegistry({ tls: true });
    const pushed = await pushImage(safe, "app:1", { layers: [await nginxLikeLayer()] });
    const env = { HOME: await home({ "policy.json": ANYTHING }) };
    const job = { sources: { app: docker(pushed.reference) }, options: { store }, env };
    const { errors } = await runJob(job);
    assertEquals(errors["source/app"]?.code, "FETCH_FAILED");
    assertStringIncludes(errors["source/app"]?.message ?? "", "x509: ");
    const certs = `${env.HOME}/.config/containers/certs.d/${safe.host}`;
    await Deno.mkdir(certs, { recursive: true });
    await Deno.copyFile(safe.tls!.ca, `${certs}/ca.crt`);
    const { images } = await runJob(job);
    assertEquals(images.map(({ id }) => id), [pushed.id]);
  });
});

describe("a machine without skopeo", () => {
  it("says so, and what to do", async () => {
    await Deno.mkdir(dir.join("bin"));
    for (const tool of ["setpriv", "tar"]) {
      const path = (await run("sh", ["-c", `command -v ${tool}`])).trim();
      await Deno.symlink(path, dir.join("bin", tool));
    }
    for (const PATH of [dir.join("bin"), dir.join("none")]) {
      const sources = { app: docker(app.reference, http) };
      const { errors } = await runJob({ sources, options: { store }, env: { PATH } });
      const error = errors["source/app"];
      assertEquals([error?.code, error?.["tool"]], ["TOOL_MISSING", "skopeo"]);
      assertStringIncludes(error?.hint ?? "", "apt-get install skopeo");
    }
    await assertNothingLeft(store, 0);
  });
});

describe("a registry that wants a password", () => {
  const auth = { user: "ann", password: "open-sesame-7c1" };
  let safe: Registry;
  let secret: PushedImage;

  beforeEach(async () => {
    safe = await startRegistry({ auth });
    const layers = [await randomLayer({ size: 300_000 })];
    secret = await pushImage(safe, "secret:1", { layers });
  });

  afterEach(async () => await safe[Symbol.asyncDispose]());

  async function writeAuth(host: string, password = auth.password): Promise<void> {
    const auths = { [host]: { auth: btoa(`${auth.user}:${password}`) } };
    await Deno.writeTextFile(dir.join("auth.json"), JSON.stringify({ auths }));
  }

  const forbidden = [auth.password, btoa(`${auth.user}:${auth.password}`)];

  it("gets it from authFile, and nobody else does", async () => {
    const told: string[] = [];
    const looks: Promise<unknown>[] = [];
    const look = ({ headers }: ProxyRequest) => {
      if (headers["user-agent"]?.startsWith("skopeo")) {
        looks.push(programsWith("secret").then((all) => told.push(...all)));
      }
      return false;
    };
    await using proxy = await startFaultProxy(safe, [{ match: look, fault: "hang" }]);
    await writeAuth(proxy.host);
    const source = docker(`${proxy.host}/secret:1`, { ...http, authFile: "auth.json" });
    const { image } = await mustFetch(source, {
      ...{ store, root: dir.path },
      onEvent: (event) => void told.push(JSON.stringify(event)),
    });
    await Promise.all(looks);
    assertEquals(image.id, secret.id);
    assert(told.some((text) => text.includes(dir.join("auth.json"))), "no skopeo was seen");
    const origin = await Deno.readTextFile(`${image.path}/../origin.json`);
    for (const word of forbidden) assert(![...told, origin].join("\n").includes(word), word);
  });

  it("does not get a wrong one from elsewhere, and the error tells nobody", async () => {
    await writeAuth(safe.host, `${auth.password}-wrong`);
    const authFile = dir.join("auth.json");
    for (const how of [{ ...http, authFile }, http]) {
      const source = docker(secret.reference, how);
      const { error, events } = await mustFail(FetchError, source, { store });
      assertEquals(error.attempts.map(({ reason }) => reason), ["denied"]);
      assertStringIncludes(error.hint ?? "", "authFile");
      const told = JSON.stringify([error.toJSON(), error.message, events]);
      for (const word of forbidden) assert(!told.includes(word), word);
    }
    assertEquals(await exists(`${store}/sources/org.osbuild.containers/${secret.id}`), false);
  });
});
