import { assertEquals, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  ContentError,
  defineConfig,
  docker,
  dockerDaemon,
  FetchError,
  images,
  install,
  PlatformError,
  StageError,
  stowage,
} from "@stowage/stowage";
import * as build from "../build/fixture.ts";
import { mustFail, mustFetch } from "../sources/fixture.ts";
import { dockerDaemon as startDaemon } from "../support/docker_daemon.ts";
import { fixture, forThisFile } from "../support/fixture.ts";
import { busyboxLayer, copyTo, fileLayer, pushImage } from "../support/mod.ts";

/** A registry that is down. */
const AWAY = "127.0.0.1:1";

const { dir, store, at, registry } = await fixture({ registry: true });
const daemon = await forThisFile(startDaemon());
const app = await pushImage(registry, "app:1", { layers: [await busyboxLayer()] });
const other = await pushImage(registry, "other:1", {
  layers: [await fileLayer({ a: "b" })],
  platform: "linux/arm64",
});
await copyTo(registry, app, daemon.storage.reference("localhost/app:1"));
await copyTo(registry, app, daemon.storage.reference(`${AWAY}/team/app:1`));
await copyTo(registry, other, daemon.storage.reference("localhost/other:1"));
const here = { daemonHost: daemon.host };

describe("a source in a docker daemon", () => {
  it("is fetched by its name, and is whole in the store", async () => {
    const source = dockerDaemon("localhost/app:1", here);
    const { image } = await mustFetch(source, { store });
    assertEquals([image.id, image.from], [app.id, "docker-daemon:localhost/app:1"]);
    for (const { diffId } of app.layers) {
      assertEquals(await exists(join(image.path, diffId.slice("sha256:".length))), true);
    }
    // A daemon of this machine is no network.
    const again = await mustFetch(dockerDaemon("localhost/app:1", { ...here, id: app.id }), {
      store,
      offline: true,
    });
    assertEquals(again.image.status, "cached");
    const anew = { store: dir.join("other"), offline: true };
    assertEquals((await mustFetch(source, anew)).image.status, "fetched");
  });

  it("is not taken for what another daemon calls so", async () => {
    await mustFetch(dockerDaemon("localhost/app:1", here), { store });
    const elsewhere = dockerDaemon("localhost/app:1", { daemonHost: "unix:///no" });
    await mustFail(FetchError, elsewhere, { store, offline: true });
  });

  it("is not taken for what it must not be", async () => {
    const wrong = dockerDaemon("localhost/other:1", { ...here, id: app.id });
    const { error } = await mustFail(ContentError, wrong, { store });
    assertEquals(error.actual, other.id);
    const amd64 = dockerDaemon("localhost/other:1", { ...here, platform: "linux/amd64" });
    const { error: { offered } } = await mustFail(PlatformError, amd64, { store });
    assertEquals(offered, ["linux/arm64"]);
  });

  it("that is absent is told apart from a daemon that is", async () => {
    const reasons = async (daemonHost: string, offline = false) => {
      const source = dockerDaemon("localhost/none:1", { daemonHost });
      const { error } = await mustFail(FetchError, source, { store, attempts: 1, offline });
      return [error.attempts[0]?.reason, error.hint?.includes("daemonHost")];
    };
    assertEquals(await reasons(daemon.host), ["unknown", true]);
    assertEquals(await reasons(`${daemon.host}-not`), ["unreachable", true]);
    assertEquals(await reasons(`http://${AWAY}`), ["unreachable", true]);
    assertEquals(await reasons(`http://${AWAY}`, true), ["offline", true]);
  });

  it("is locked by its id, and found again by that alone", async () => {
    const config = defineConfig({ sources: { app: dockerDaemon("localhost/app:1", here) } });
    const { lock } = await stowage(config, at).lock(dir.join("images.lock.json"));
    assertEquals(Object.values(lock.sources.app?.platforms ?? {}).map(({ id }) => id), [app.id]);
    const moved = defineConfig({ sources: { app: dockerDaemon("localhost/gone:1", here) } });
    const reference = "docker-daemon:localhost/gone:1";
    const renamed = { ...lock, sources: { app: { ...lock.sources.app!, reference } } };
    const { images: [image] } = await stowage(moved, { ...at, lock: renamed }).fetch();
    assertEquals([image?.id, image?.from], [app.id, `docker-daemon:${app.id}`]);
  });
});

describe("a docker daemon as a fallback", () => {
  it("has the image by the reference of the source, or by its id", async () => {
    const fallback = [dockerDaemon(here)];
    for (const [name, options] of [["team/app:1", {}], ["elsewhere:2", { id: app.id }]] as const) {
      const source = docker(`${AWAY}/${name}`, { tlsVerify: false, fallback, ...options });
      const { image } = await mustFetch(source, { store: dir.join(name), attempts: 1 });
      assertEquals(image.id, app.id);
      assertStringIncludes(image.from ?? "", "docker-daemon:");
    }
  });
});

describe("a docker daemon as a destination", () => {
  const config = (daemonHost: string) =>
    defineConfig({
      sources: { app: docker(app.reference, { tlsVerify: false }) },
      inputs: { apps: images({ app: ["localhost/made:1", "localhost/made:2"] }) },
      stages: {
        load: install({ inputs: ["apps"], destination: { type: "docker-daemon", daemonHost } }),
      },
    });

  it("has each image by each of its names", async () => {
    await build.mustBuild(config(daemon.host), at);
    const format = "{{.Repository}}:{{.Tag}} sha256:{{.Id}}";
    const list = await daemon.storage.podman("images", "--no-trunc", "--format", format);
    for (const tag of [1, 2]) assertStringIncludes(list, `localhost/made:${tag} ${app.id}`);
  });

  it("that is away fails the stage", async () => {
    const { error } = await build.mustFail(StageError, "stage/load", config("unix:///no"), at);
    assertStringIncludes(error.message, "unix:///no");
  });
});
