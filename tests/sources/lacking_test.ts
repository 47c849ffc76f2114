import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { docker, FetchError, type StowageError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, pushIndex } from "../support/mod.ts";
import { fetchApp, mustFail } from "./fixture.ts";

const { store, registry, proxy } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });
await pushIndex(registry, "app:many", [app]);

const gone = (text: string) => ({
  match: ({ path }: { path: string }) => path.endsWith(text),
  fault: { status: 404 },
});
const hintOf = ({ hint = "" }: StowageError) => hint;

describe("a registry that has not what it names itself", () => {
  const parts: Record<string, [tag: string, digest: string]> = {
    "an image of an index": ["many", app.digest],
    "a layer": ["1", app.layers[0]?.digest ?? ""],
    "a config": ["1", app.id],
  };
  for (const [what, [tag, digest]] of Object.entries(parts)) {
    it(`is to blame, and not who asks: ${what}`, async () => {
      proxy.rules.push(gone(digest));
      const source = docker(`${proxy.host}/app:${tag}`, { tlsVerify: false });
      const { error } = await mustFail(FetchError, source, { store, attempts: 1 });
      assertEquals(error.attempts.map(({ reason }) => reason), ["unknown"]);
      assertStringIncludes(hintOf(error), "was deleted, is still being pushed");
    });
  }

  it("is to blame where it serves an image by its tag and not by its digest", async () => {
    proxy.rules.push(gone(app.digest));
    const { error } = await fetchApp(docker(`${proxy.host}/app:1`, { tlsVerify: false }), {
      store,
    });
    assertStringIncludes(error?.message ?? "", "it has just served it");
    assertStringIncludes(hintOf(error!), "was deleted, is still being pushed");
  });

  it("is not where there is nothing of that name", async () => {
    const source = docker(`${proxy.host}/app:none`, { tlsVerify: false });
    const { error } = await mustFail(FetchError, source, { store });
    assertStringIncludes(hintOf(error), "typing error");
  });
});
