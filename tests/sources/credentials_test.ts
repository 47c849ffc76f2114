import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { docker } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { pushImage, randomLayer } from "../support/mod.ts";
import { assertNothingLeft, eventsOf } from "./fixture.ts";
import { runJob } from "./job.ts";

const auth = { user: "ann", password: "open-sesame-9f3" };
const encoded = btoa(`${auth.user}:${auth.password}`);

const { dir, registry } = await fixture({ registry: { auth, tls: true } });
const app = await pushImage(registry, "safe/app:1", {
  layers: [await randomLayer({ size: 100_000 })],
});
const [home, root] = [dir.join("home"), dir.join("project")];

beforeEach(async () => {
  for (const path of [home, root]) await Deno.mkdir(path);
  await Deno.symlink(registry.tls!.certDir, join(root, "certs"));
});

const authJson = (password = auth.password) =>
  JSON.stringify({ auths: { [registry.host]: { auth: btoa(`${auth.user}:${password}`) } } });

async function write(path: string, text: string, mode = 0o600): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, text, { mode });
}

/** Fetches with nothing of this machine's own; tells all that was told to anybody. */
async function fetch(
  env: Readonly<Record<string, string>> = {},
  how: { readonly authFile?: string; readonly certDir?: string } = {},
  limits: { readonly stallTimeout?: number } = {},
) {
  const source = docker(app.reference, { certDir: "certs", ...how });
  const result = await runJob({
    sources: { app: source },
    options: { store: dir.join("store"), root, attempts: 3, ...limits },
    env: { HOME: home, XDG_RUNTIME_DIR: dir.join("run"), REGISTRY_AUTH_FILE: "", ...env },
  });
  const told = JSON.stringify(result);
  for (const word of [auth.password, encoded]) assert(!told.includes(word), `it tells "${word}"`);
  return result;
}

async function assertFetched(...given: Parameters<typeof fetch>): Promise<void> {
  const { images, errors } = await fetch(...given);
  assertEquals([errors, images.map(({ id }) => id)], [{}, [app.id]]);
  const origin = await Deno.readTextFile(`${images[0]?.path}/../origin.json`);
  assert(!origin.includes(auth.user));
}

describe("credentials of a registry with a private CA", () => {
  it("are those of authFile, relative to the config", async () => {
    await write(join(root, "secret/auth.json"), authJson());
    await assertFetched({}, { authFile: "secret/auth.json" });
  });

  it("are those of REGISTRY_AUTH_FILE", async () => {
    await write(dir.join("elsewhere.json"), authJson());
    await assertFetched({ REGISTRY_AUTH_FILE: dir.join("elsewhere.json") });
  });

  it("are podman's, where it keeps them", async () => {
    await write(dir.join("run/containers/auth.json"), authJson());
    await assertFetched();
  });

  it("are docker's, where it keeps them", async () => {
    await write(join(home, ".docker/config.json"), authJson());
    await assertFetched();
  });

  it("are those of a credential helper", async () => {
    const answer = JSON.stringify({ Username: auth.user, Secret: auth.password });
    const env = await useHelper(`[ "$1" = get ] && echo '${answer}'`);
    await assertFetched(env, { authFile: "auth.json" });
    await Deno.remove(dir.join("store"), { recursive: true });
    await write(
      join(home, ".docker/config.json"),
      await Deno.readTextFile(join(root, "auth.json")),
    );
    await assertFetched(env);
  });

  /** A helper that the config names, and where it is. */
  async function useHelper(script: string): Promise<{ PATH: string }> {
    await write(dir.join("bin/docker-credential-stowage-test"), `#!/bin/sh\n${script}\n`, 0o755);
    const config = { credHelpers: { [registry.host]: "stowage-test" } };
    await write(join(root, "auth.json"), JSON.stringify(config));
    return { PATH: `${dir.join("bin")}:${Deno.env.get("PATH")}` };
  }

  it("are not waited for where a helper does not end", async () => {
    const env = await useHelper("exec sleep 600");
    const how = { authFile: "auth.json" };
    const { errors: { "source/app": error }, events } = await fetch(env, how, {
      stallTimeout: 2000,
    });
    assertEquals(error?.code, "FETCH_FAILED");
    assertStringIncludes(error?.message ?? "", 'stalled: "docker-credential-stowage-test"');
    assertStringIncludes(error?.hint ?? "", "see why the helper waits");
    assertEquals(eventsOf(events, "retry"), []);
  });

  it("that a helper does not give are an error that says what to do", async () => {
    const { errors: { "source/app": error } } = await fetch(await useHelper("exit 3"), {
      authFile: "auth.json",
    });
    assertEquals(error?.code, "TOOL_FAILED");
    assertStringIncludes(error?.hint ?? "", "the helper that it names");
  });

  it("that are wrong are denied at once, and the hint says what to do", async () => {
    for (const name of ["authFile", "none"]) {
      await write(join(root, "auth.json"), authJson(`${auth.password}-wrong`));
      const { errors, events } = await fetch({}, name === "none" ? {} : { authFile: "auth.json" });
      const { "source/app": error } = errors;
      assertEquals(error?.code, "FETCH_FAILED");
      assertStringIncludes(error?.message ?? "", "denied");
      assert(!error?.message.includes("is not there"), error?.message);
      assertStringIncludes(error?.hint ?? "", "authFile");
      assertEquals(eventsOf(events, "retry"), []);
    }
    await assertNothingLeft(dir.join("store"), 0);
  });

  it("are not sent where the certificate is not trusted", async () => {
    await write(join(root, "auth.json"), authJson());
    const empty = dir.join("empty");
    await Deno.mkdir(empty);
    const { errors: { "source/app": error } } = await fetch({}, {
      authFile: "auth.json",
      certDir: empty,
    });
    assertStringIncludes(error?.message ?? "", "x509");
    assertStringIncludes(error?.hint ?? "", "CA");
  });

  it("of a file that is not there are an error that names it", async () => {
    const { errors: { "source/app": error } } = await fetch({}, { authFile: "none.json" });
    assertStringIncludes(error?.message ?? "", join(root, "none.json"));
  });
});
