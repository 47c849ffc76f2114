import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from "@std/testing/bdd";
import { docker, fromDir } from "@stowage/stowage";
import {
  copyTo,
  fileLayer,
  type PushedImage,
  pushImage,
  type Registry,
  startRegistry,
  type TempDir,
  tempDir,
} from "../support/mod.ts";
import { eventsOf } from "./fixture.ts";
import { runJob } from "./job.ts";

let registry: Registry;
let app: PushedImage;
let dir: TempDir;

beforeAll(async () => {
  registry = await startRegistry();
  app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "a" })] });
});
afterAll(async () => await registry[Symbol.asyncDispose]());
beforeEach(async () => void (dir = await tempDir()));
afterEach(async () => await dir[Symbol.asyncDispose]());

async function write(name: string, text: string): Promise<string> {
  const path = dir.join("home", name);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
  return path;
}

/** Fetches as a user whose files are in `home`. */
async function fetch(reference = app.reference, fallback = false) {
  if (fallback) await copyTo(registry, app, `dir:${dir.join("app")}`);
  const source = docker(reference, {
    tlsVerify: false,
    ...(fallback && { fallback: [fromDir(dir.join("app"))] }),
  });
  const result = await runJob({
    sources: { app: source },
    options: { store: dir.join("store") },
    env: {
      HOME: dir.join("home"),
      XDG_RUNTIME_DIR: dir.join("run"),
      DOCKER_CONFIG: dir.join("home/.docker"),
      REGISTRY_AUTH_FILE: "",
    },
  });
  return { ...result, error: Object.values(result.errors)[0] };
}

describe("a file of this machine that cannot be used", () => {
  const conf = ".config/containers/registries.conf";
  const broken: [name: string, text: string, says: string][] = [
    [conf, "unqualified-search-registries = [\n", "line 1"],
    [conf, '\n[[registry]]\nlocation = "a.io"\nblocked = 5\n', "line 4"],
    [conf, '[[registry]]\nprefix = "a.io"\n', "location"],
    [conf, '[[registry]]\nlocation = "https://a.io"\n', "location"],
    [`${conf}.d/x.conf`, "nope = [\n", "line 1"],
    [".config/containers/policy.json", '{"default": [', "unexpected end"],
    [".config/containers/policy.json", '{"default": []}', "must not be empty"],
    [".config/containers/registries.d/x.yaml", "docker: [\n", "line 1"],
    [".config/containers/auth.json", "{", "unexpected end"],
    [".docker/config.json", '{"auths": 5}', "cannot unmarshal"],
  ];
  for (const [name, text, says] of broken) {
    it(`is named, and not asked again: ${name} ${JSON.stringify(text)}`, async () => {
      const path = await write(name, text);
      const { error, events } = await fetch();
      assertEquals(error?.code, "CONFIG_FILE");
      assertStringIncludes(error?.message ?? "", `Cannot use "${path}": `);
      assertStringIncludes(error?.message ?? "", says);
      assert(error?.hint);
      assertEquals(eventsOf(events, "retry"), []);
    });
  }

  it("may be in the place of a folder with certificates", async () => {
    const certDir = await write("certs", "");
    const { errors } = await runJob({
      sources: { app: docker(app.reference, { certDir }) },
      options: { store: dir.join("store") },
    });
    assertEquals(errors["source/app"]?.code, "CONFIG_FILE");
    assertStringIncludes(errors["source/app"]?.message ?? "", `Cannot use "${certDir}": not a dir`);
  });

  it("may block a registry: then the next place is asked", async () => {
    await write(conf, `[[registry]]\nlocation = "${registry.host}"\nblocked = true\n`);
    const { images, events } = await fetch(app.reference, true);
    assertEquals(images.map(({ from }) => from), [`dir:${dir.join("app")}`]);
    assertEquals(eventsOf(events, "absent").map(({ reason }) => reason), ["denied"]);
    await Deno.remove(dir.join("store"), { recursive: true });
    const { error } = await fetch();
    assertStringIncludes(error?.hint ?? "", "blocked = true");
  });
});

describe("a registry that nobody is logged in at", () => {
  const login = async (json: unknown) => {
    await using closed = await startRegistry({ auth: { user: "ann", password: "secret" } });
    const text = JSON.stringify(json).replaceAll("HOST", closed.host);
    const path = await write(".docker/config.json", text);
    const { error } = await fetch(`${closed.host}/app:1`);
    return { path, hint: error?.hint ?? "" };
  };

  it("may be one whose login docker keeps where skopeo does not look", async () => {
    const { path, hint } = await login({ credsStore: "desktop", auths: { HOST: {} } });
    assertStringIncludes(hint, `"${path}" keeps logins in "desktop" (credsStore)`);
    assertStringIncludes(hint, "credHelpers");
  });

  it("is another where a login is there that does not do", async () => {
    const auths = { HOST: { auth: btoa("ann:wrong") } };
    const { hint } = await login({ credsStore: "desktop", auths });
    assertEquals(hint.includes("credsStore"), false);
    assertStringIncludes(hint, "skopeo login");
    assertStringIncludes((await login({ credsStore: "\x1b[31m" })).hint, "skopeo login");
  });
});

it("a registry that says nothing may be behind a proxy that takes its time", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { errors } = await runJob({
    sources: { app: docker(`127.0.0.1:${listener.addr.port}/app:1`, { tlsVerify: false }) },
    options: { store: join(dir.path, "store"), stallTimeout: 100, attempts: 1 },
  });
  assertStringIncludes(Object.values(errors)[0]?.hint ?? "", "--timeout");
});
