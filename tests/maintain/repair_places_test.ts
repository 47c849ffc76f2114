import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  containersStorage,
  dockerDaemon,
  fromDir,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
  RunError,
  type Source,
  stowage,
} from "@stowage/stowage";
import { dockerDaemon as startDaemon } from "../support/docker_daemon.ts";
import { fixture, forThisFile } from "../support/fixture.ts";
import { copyTo, fileLayer, pushImage } from "../support/mod.ts";
import { repair } from "./repair_fixture.ts";
import { flip, poolPath, verify } from "./verify_fixture.ts";

const { dir, store, registry } = await fixture({ registry: true });
const daemon = await forThisFile(startDaemon());
const push = async (name: string) =>
  await pushImage(registry, name, { layers: [await fileLayer({ name })] });
const app = await push("app:1");
const other = await push("other:1");
await copyTo(registry, app, daemon.storage.reference("localhost/app:1"));

const fetch = (app: Source, root: string) =>
  stowage({ digests: "ignore", sources: { app } }, { store, root }).fetch();

/** Damages all layers that the store has. */
async function spoil(): Promise<void> {
  for await (const { name } of Deno.readDir(join(store, "blobs/sha256"))) {
    await flip(poolPath(store, `sha256:${name}`));
  }
}

/** Repairs all, in a folder that has nothing to do with the configs of before. */
async function assertRepaired(count: number): Promise<void> {
  const root = dir.join("elsewhere");
  const { repaired, left } = await repair({}, { store, root });
  assertEquals([repaired.length, left], [count, []]);
  assertEquals((await verify(store)).findings, []);
}

describe("verify with repair, without a config", () => {
  const sources: Record<string, Source> = {
    "dir": fromDir("image"),
    "oci": fromOci("a:layout", { image: "app:1" }),
    "oci-archive": fromOciArchive("app.oci.tar", { image: "app:1" }),
    "docker-archive": fromDockerArchive("app.tar", { image: "localhost/app:1" }),
    "containers-storage": containersStorage("localhost/app:1", { location: "[vfs@graph+run]" }),
    "docker-daemon": dockerDaemon("localhost/app:1", { daemonHost: daemon.host }),
  };
  for (const [transport, source] of Object.entries(sources)) {
    it(`asks ${transport} again`, async () => {
      const root = dir.join("site");
      await Deno.mkdir(root);
      const to: Record<string, string> = {
        "dir": `dir:${root}/image`,
        "oci": `oci:${dir.join("layout")}:app:1`, // skopeo writes no path with a colon
        "oci-archive": `oci-archive:${root}/app.oci.tar:app:1`,
        "docker-archive": `docker-archive:${root}/app.tar:localhost/app:1`,
        "containers-storage": `containers-storage:[vfs@${root}/graph+${root}/run]localhost/app:1`,
      };
      if (to[transport]) await copyTo(registry, app, to[transport]);
      if (transport === "oci") await Deno.rename(dir.join("layout"), join(root, "a:layout"));
      const { images: [image] } = await fetch(source, root);
      assertEquals([image?.status, image?.id], ["fetched", app.id]);
      await spoil();
      await assertRepaired(1);
    });
  }
});

describe("two configs with the same relative path, and one store", () => {
  const roots = () => [dir.join("one"), dir.join("two")] as const;
  const config = { digests: "ignore", sources: { app: fromOci("layout") } } as const;
  const names = async (root: string) => {
    const images = await stowage(config, { store, root }).list();
    return Object.fromEntries(images.flatMap(({ id, names }) => names.map((name) => [name, id])));
  };

  it("have an image each, which is repaired from its own place", async () => {
    for (const [at, root] of roots().entries()) {
      await Deno.mkdir(root);
      await copyTo(registry, [app, other][at]!, `oci:${root}/layout`);
      await fetch(config.sources.app, root);
    }
    const [one, two] = roots();
    assertEquals([await names(one), await names(two)], [{ app: app.id }, { app: other.id }]);
    await spoil();
    await assertRepaired(2);
    assertEquals([await names(one), await names(two)], [{ app: app.id }, { app: other.id }]);
    // What one of them does not need is what the other one has.
    const { garbage } = await stowage(config, { store, root: one }).gc({ dryRun: true });
    assertEquals(garbage.flatMap(({ kind, name }) => kind === "image" ? [name] : []), [other.id]);
  });

  it("offline, get nothing of each other's storage", async () => {
    const [one, two] = roots();
    const stored = containersStorage("localhost/app:1", { location: "[vfs@graph+run]" });
    const into = `containers-storage:[vfs@${one}/graph+${one}/run]localhost/app:1`;
    await copyTo(registry, app, into);
    await fetch(stored, one);
    const sources = { app: stored };
    const offline = (root: string) =>
      stowage({ digests: "ignore", sources }, { store, root, offline: true }).fetch();
    assertEquals((await offline(one)).images[0]?.status, "cached");
    await assertRejects(() => offline(two), RunError);
  });
});
