import { assertEquals, assertObjectMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Lock } from "@stowage/stowage";
import { putManifest } from "../support/mod.ts";
import { lockFixture, mustLock, of } from "./fixture.ts";

const BOTH = ["linux/amd64", "linux/arm64"];
const OTHER = `sha256:${"0".repeat(64)}`;

const bench = await lockFixture();

describe("outdated()", () => {
  it("tells which tags moved, a manifest a tag, and changes nothing", async () => {
    const old = await bench.pushMany("web:1", "old", BOTH);
    const db = await bench.push("db:1", "db");
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const config = of({
      both,
      db: bench.app("db:1"),
      pinned: bench.app("db:1", { digest: db.digest }),
      digest: bench.app("db", { digest: db.digest }),
      open: bench.app("open:1"),
    });
    const { result: { lock } } = await bench.lock(config);
    bench.manifests();
    assertObjectMatch((await bench.outdated(config, lock)).result, {
      ...{ outdated: [], unpinned: ["open"], requests: 2 },
    });
    const [web, next] = [await bench.pushMany("web:1", "new", BOTH), await bench.push("db:1", "x")];
    bench.manifests();
    const at = (name: string) => `docker://${bench.proxy.host}/${name}`;
    const { result, failures } = await bench.outdated(config, lock);
    assertEquals(failures, {});
    assertObjectMatch(result, {
      outdated: [
        { name: "both", reference: at("web:1"), pinned: old.digest, current: web.digest },
        { name: "db", reference: at("db:1"), pinned: db.digest, current: next.digest },
        { name: "pinned", reference: at("db:1"), pinned: db.digest, current: next.digest },
      ],
      unpinned: ["open"],
      requests: 2,
    });
    assertEquals(bench.manifests(), 2);
    const without = await bench.outdated(config);
    assertEquals(without.result.outdated.map(({ name }) => name), ["pinned"]);
  });

  it("tells of those that could be asked where one could not", async () => {
    await bench.push("web:1", "old");
    const config = of({ web: bench.app("web:1"), db: bench.app("db:1", { digest: OTHER }) });
    const { result: { lock } } = await bench.lock(config);
    await bench.push("web:1", "new");
    const { result, failures } = await bench.outdated(config, lock);
    assertEquals([result.outdated.length, Object.keys(failures)], [1, ["source/db"]]);
  });

  it("takes a tag of an index for what stands for its images as well", async () => {
    const many = await bench.pushMany("many:1", "many", BOTH);
    const [{ digest = "", id = "" } = {}] = many.images;
    const config = of({
      image: bench.app("many:1", { digest }),
      both: bench.app("many:1", { digest, id }),
    });
    const lock = await mustLock(bench, config);
    const outdated = async (lock: Lock) => (await bench.outdated(config, lock)).result.outdated;
    // Of an index, all that is known without reading it is that it is another manifest.
    assertEquals(await outdated(lock), []);
    assertEquals(await outdated({ schema: 1, sources: {} }), []);
    const { digest: current } = await bench.pushMany("many:1", "new", BOTH);
    assertEquals(
      (await outdated(lock)).map(({ name, pinned, current }) => [name, pinned, current]),
      ["image", "both"].map((name) => [name, digest, current]),
    );
  });

  it("takes a tag for what stands for the images of an index within its index too", async () => {
    const type = "application/vnd.oci.image.index.v1+json";
    const inner = await bench.pushMany("nest", "inner", BOTH);
    const entry = { mediaType: type, digest: inner.digest, size: inner.manifest.length };
    const outer = { schemaVersion: 2, mediaType: type, manifests: [entry] };
    await putManifest(bench.registry, "nest:1", JSON.stringify(outer), type);
    const [{ digest = "" } = {}] = inner.images;
    const outdated = async (digest: string) =>
      (await bench.outdated(of({ app: bench.app("nest:1", { digest }) }))).result.outdated.length;
    assertEquals([await outdated(digest), await outdated(OTHER)], [0, 1]);
    const config = of({ app: bench.app("nest:1", { digest }) });
    assertEquals((await bench.fetch(config)).failures, {});
  });

  it("asks with GET where the registry knows no HEAD", async () => {
    await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    for (const status of [501, 500, 405]) {
      bench.proxy.rules.splice(0, 1, { match: /^HEAD/, fault: { status } });
      const { result } = await bench.outdated(config, lock);
      assertEquals([result.outdated, result.requests], [[], 2]);
    }
  });
});
