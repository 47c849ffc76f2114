import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { ContentError, docker, FetchError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  digestOf,
  fileLayer,
  makeLegacyEntry,
  nginxLikeLayer,
  osbuildExists,
  pushImage,
  startFaultProxy,
} from "../support/mod.ts";
import {
  assertNothingLeft,
  assertStored,
  eventsOf,
  list,
  mustFail,
  mustFetch,
  typesOf,
} from "./fixture.ts";

const http = { tlsVerify: false };
const AWAY = "127.0.0.1:1";

const { dir, store, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const app = await pushImage(registry, "app:1", { layers });
const other = await pushImage(registry, "other:1", { layers: [await fileLayer({ a: "b" })] });
let legacy: string;
let before: string;

beforeEach(async () => {
  legacy = await makeLegacyEntry(store, registry, app);
  before = await fingerprint(legacy);
});

/** Its bytes, and all that would change if it was written anew. */
async function fingerprint(path: string): Promise<string> {
  const { ino, mtime, mode } = await Deno.stat(path);
  return `${await digestOf(await Deno.readFile(path))} ${ino} ${mtime?.getTime()} ${mode}`;
}

describe("an archive that an old osbuild left", () => {
  it("is kept as it is beside the image that a registry serves", async () => {
    const { image } = await mustFetch(docker(app.reference, { ...http, id: app.id }), { store });
    assertEquals([image.status, image.from], ["fetched", `docker://${app.reference}`]);
    await assertStored(store, image, app);
    const names = ["container-image.tar", "image", "origin.json"];
    assertEquals(await list(join(image.path, "..")), names);
    assertEquals(await fingerprint(legacy), before);
  });

  it("serves when no place does", async () => {
    const { digest, id } = app;
    const source = docker(`${AWAY}/app:1`, { ...http, digest, id });
    const { image, events } = await mustFetch(source, { store, attempts: 1 });
    assertEquals(typesOf(events), ["start", "absent", "resolved", "image"]);
    assertEquals([image.status, image.id], ["fetched", app.id]);
    assertEquals(image.from, `docker-archive:${legacy}`);
    assert(await osbuildExists(store, app.id));
    for (const diffId of [app.id, ...app.layers.map(({ diffId }) => diffId)]) {
      const blob = await Deno.readFile(join(image.path, diffId.replace("sha256:", "")));
      assertEquals(await digestOf(blob), diffId);
    }
    assertEquals(await fingerprint(legacy), before);
    await assertNothingLeft(store, 1);
    const [origin] =
      JSON.parse(await Deno.readTextFile(join(image.path, "../origin.json"))).origins;
    assertEquals([origin.transport, origin.reference], [
      "docker-archive",
      `docker://${AWAY}/app:1`,
    ]);
    assertEquals((await mustFetch(source, { store, attempts: 1 })).image.status, "cached");
  });

  it("serves without any network", async () => {
    await using proxy = await startFaultProxy(registry);
    const source = docker(`${proxy.host}/app:1`, { ...http, id: app.id });
    const { image, events } = await mustFetch(source, { store, offline: true });
    assertEquals(image.from, `docker-archive:${legacy}`);
    assertEquals(eventsOf(events, "absent").map(({ reason }) => reason), ["offline"]);
    assertEquals(proxy.requests.length, 0);
  });

  it("serves when the registry has lost a layer, by the id that it told", async () => {
    await using proxy = await startFaultProxy(registry, [
      { match: ({ path }) => path.endsWith(app.layers[0]!.digest), fault: { status: 404 } },
    ]);
    const { image } = await mustFetch(docker(`${proxy.host}/app:1`, http), { store });
    assertEquals(image.from, `docker-archive:${legacy}`);
    assertEquals(await fingerprint(legacy), before);
  });

  it("serves nobody who does not say the id", async () => {
    const source = docker(`${AWAY}/app:1`, http);
    await mustFail(FetchError, source, { store, attempts: 1 });
    await mustFail(FetchError, source, { store, offline: true });
    assertEquals(await list(join(legacy, "..")), ["container-image.tar"]);
  });

  it("is refused if it holds another image", async () => {
    const wrong = await makeLegacyEntry(dir.join("elsewhere"), registry, other);
    await Deno.rename(wrong, legacy);
    const source = docker(`${AWAY}/app:1`, { ...http, id: app.id });
    const { error } = await mustFail(ContentError, source, { store, attempts: 1 });
    assertEquals([error.expected, error.actual], [app.id, other.id]);
    assertEquals(await list(join(legacy, "..")), ["container-image.tar"]);
  });

  it("is refused if it is damaged", async () => {
    const bytes = await Deno.readFile(legacy);
    bytes[20_000]! ^= 1;
    await Deno.writeFile(legacy, bytes);
    const source = docker(`${AWAY}/app:1`, { ...http, id: app.id });
    await mustFail(ContentError, source, { store, attempts: 1 });
    await Deno.truncate(legacy, 5000);
    await mustFail(ContentError, source, { store, attempts: 1 });
    assertEquals(await list(join(legacy, "..")), ["container-image.tar"]);
    await assertNothingLeft(store, 1);
  });

  it("is not opened while the image is there", async () => {
    const source = docker(app.reference, { ...http, id: app.id });
    await mustFetch(source, { store });
    await Deno.writeTextFile(legacy, "junk");
    assertEquals((await mustFetch(source, { store })).image.status, "cached");
  });
});
