import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { docker } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, type Rule, startFaultProxy } from "../support/mod.ts";
import { fetchApp } from "./fixture.ts";

const SECRET = "open-sesame-91c";

const { dir, registry, proxy } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "a" })] });

describe("what a registry says", () => {
  const of = (end: string) => ({ path }: { path: string }) => path.endsWith(end);
  const redirect = (location: string) => ({ status: 307, headers: { location } });
  const echo = (code: string) => ({
    status: 403,
    body: JSON.stringify({ errors: [{ code, message: `you sent ${SECRET}`, detail: SECRET }] }),
  });
  const asks = { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } };
  const isAnonymous = ({ headers }: { headers: Readonly<Record<string, string>> }) =>
    !headers["authorization"];
  const cases: Record<string, () => Rule[]> = {
    "a signed URL of a layer that nobody serves": () => [
      { match: of(app.layers[0]!.digest), fault: redirect(`http://127.0.0.1:1/?sig=${SECRET}`) },
    ],
    "a signed URL of a config that nobody serves": () => [
      { match: of(app.id), fault: redirect(`http://127.0.0.1:1/x?sig=${SECRET}`) },
    ],
    "a URL of a config with a login": () => [
      { match: of(app.id), fault: redirect(`http://ann:${SECRET}@127.0.0.1:1/x`) },
    ],
    "a signed URL without end": () => [
      { match: of(app.id), fault: redirect(`/v2/app/blobs/${app.id}?sig=${SECRET}`) },
      { match: of(SECRET), fault: redirect(`/v2/app/blobs/${app.id}?sig=${SECRET}`) },
    ],
    "a manifest's error that repeats the login": () => [
      { match: isAnonymous, fault: asks },
      { match: /manifests/, fault: echo("DENIED") },
    ],
    "a config's error that repeats the login, with a code of its own": () => [
      { match: isAnonymous, fault: asks },
      { match: of(app.id), fault: echo("ACME_SAYS_NO") },
    ],
    "a page that repeats the login": () => [
      { match: isAnonymous, fault: asks },
      { match: of(app.id), fault: { status: 400, body: `<p>${SECRET}` } },
    ],
  };
  for (const [what, rules] of Object.entries(cases)) {
    it(`is told without secrets: ${what}`, async () => {
      proxy.rules.push(...rules());
      const auths = { [proxy.host]: { auth: btoa(`ann:${SECRET}`) } };
      const authFile = dir.join("auth.json");
      await Deno.writeTextFile(authFile, JSON.stringify({ auths }));
      const source = docker(`${proxy.host}/app:1`, { tlsVerify: false, authFile });
      const { error, events } = await fetchApp(source, { store: dir.join("store"), attempts: 2 });
      assert(error, "it was fetched");
      const told = JSON.stringify([error, events]) + error.message + error.stack;
      assertEquals(told.includes(SECRET), false, told);
      assertEquals(told.includes(btoa(`ann:${SECRET}`)), false, told);
    });
  }

  it("is told without secrets: a helper that prints one and fails", async () => {
    await using proxy = await startFaultProxy(registry, [{ match: isAnonymous, fault: asks }]);
    const helper = dir.join("docker-credential-stowage-loud");
    await Deno.writeTextFile(helper, `#!/bin/sh\necho ${SECRET}; exit 1\n`, { mode: 0o755 });
    const credHelpers = { [proxy.host]: "stowage-loud" };
    await Deno.writeTextFile(dir.join("auth.json"), JSON.stringify({ credHelpers }));
    const PATH = Deno.env.get("PATH") ?? "";
    Deno.env.set("PATH", `${dir.path}:${PATH}`);
    const source = docker(`${proxy.host}/app:1`, {
      tlsVerify: false,
      authFile: dir.join("auth.json"),
    });
    const run = await fetchApp(source, { store: dir.join("store"), attempts: 1 })
      .finally(() => Deno.env.set("PATH", PATH));
    const told = JSON.stringify([run.error, run.events]) + run.error?.message;
    assert(run.error, "it was fetched");
    assertEquals(told.includes(SECRET), false, told);
  });
});
