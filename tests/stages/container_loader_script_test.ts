import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { run, smallFs } from "../support/mod.ts";
import {
  APP,
  boot,
  DOCKER,
  FOLDER,
  loaderFixture,
  makeEngine,
  makeSystem,
  namesIn,
  type System,
} from "./loader_system.ts";

const { makeImages } = await loaderFixture();

describe("the loader's script", () => {
  const shells = { zstd: ["dash"], gzip: ["busybox", "sh"], none: ["bash", "--posix"] } as const;
  for (const compression of ["zstd", "gzip", "none"] as const) {
    const shell = [...shells[compression]];
    it(`loads what is not there yet, the largest first, ${compression}, in ${shell[0]}`, async () => {
      await using engine = await makeEngine();
      const images = await makeImages({ [APP]: 100, "localhost/large:2": 10_000 });
      const ids = images.map(({ id }) => id);
      await using system = await makeSystem(images, { compression });
      const status = (word: string) => [`${word} localhost/large:2`, `${word} ${APP}`];
      assertEquals(await boot(system, engine, shell), {
        code: 0,
        status: status("loaded"),
        stderr: "",
      });
      const loaded = [`localhost/large:2 ${ids[1]}`, `${APP} ${ids[0]}`];
      assertEquals(await engine.images(), loaded);
      // Nothing is left to do at the next boot, and nothing is left behind.
      assertEquals(await boot(system, engine, shell), {
        code: 0,
        status: status("present"),
        stderr: "",
      });
      assertEquals(await engine.images(), loaded);
      assertEquals((await system.archives()).length, 2);
      assertEquals((await namesIn(`${system.tree}/var/lib/stowage`)).sort(), [
        "container-loader.given",
        "container-loader.status",
      ]);
      const [root = ""] = await engine.podman("info", "--format={{.Store.GraphRoot}}");
      assertEquals(await namesIn(`${root}/tmp`), []);
    });
  }

  it("gives an image that is there by another name its own", async () => {
    await using engine = await makeEngine();
    const [image] = await makeImages({ [APP]: 100 });
    assert(image);
    await engine.podman("pull", "--quiet", `dir:${image.path}`);
    await engine.podman("tag", image.id, "localhost/mine:1");
    await using system = await makeSystem([{ ...image, names: [APP, "localhost/app:2"] }]);
    // The archive is not needed.
    await Deno.remove(`${system.tree}/${FOLDER}/images`, { recursive: true });
    assertEquals(await boot(system, engine), { code: 0, status: [`present ${APP}`], stderr: "" });
    const names = [`localhost/app:2 ${image.id}`, `localhost/mine:1 ${image.id}`];
    const found = await engine.images();
    assertEquals(found.filter((line) => !line.startsWith("localhost/sha256")), [
      ...names,
      `${APP} ${image.id}`,
    ]);
  });

  it("goes on where one of three is damaged, and says so", async () => {
    await using engine = await makeEngine();
    const sizes = { "localhost/a:1": 100, "localhost/b:1": 5_000, "localhost/c:1": 20_000 };
    const images = await makeImages(sizes);
    await using system = await makeSystem(images, { deleteAfterLoad: true });
    const damaged = `${system.tree}/${FOLDER}/images/localhost.b:1.zst`;
    const bytes = await Deno.readFile(damaged);
    bytes[100]! ^= 1;
    await Deno.remove(damaged);
    await Deno.writeFile(damaged, bytes);
    const { code, status } = await boot(system, engine);
    assertEquals(code, 1);
    assertEquals(status, [
      "loaded localhost/c:1",
      "failed localhost/b:1 its archive is damaged: images/localhost.b:1.zst",
      "loaded localhost/a:1",
    ]);
    assertEquals(await system.archives(), ["localhost.b:1.zst"]);
    const [a, , c] = images;
    assertEquals(await engine.images(), [`localhost/a:1 ${a?.id}`, `localhost/c:1 ${c?.id}`]);
    await Deno.remove(damaged);
    assertEquals((await boot(system, engine)).status, [
      "present localhost/c:1",
      "failed localhost/b:1 its archive is missing: images/localhost.b:1.zst",
      "present localhost/a:1",
    ]);
  });

  it("takes back an image that is not the one it should be", async () => {
    await using engine = await makeEngine();
    const [image, older] = await makeImages({ [APP]: 100, "localhost/older:1": 200 });
    assert(image && older);
    await using system = await makeSystem([image], { deleteAfterLoad: true });
    await system.edit((text) => text.replaceAll(image.id.slice(7), "a".repeat(64)));
    const failed = {
      code: 1,
      status: [`failed ${APP} its archive holds another image: images/quay.io.acme.app:1.zst`],
      stderr: "",
    };
    assertEquals(await boot(system, engine), failed);
    assertEquals(await engine.images(), []);
    await engine.podman("pull", "--quiet", `dir:${older.path}`);
    await engine.podman("tag", older.id, APP);
    assertEquals(await boot(system, engine), failed);
    assert((await engine.images()).includes(`${APP} ${older.id}`));
    assertEquals(await system.archives(), ["quay.io.acme.app:1.zst"]);
  });

  it("says what the engine said", async () => {
    await using engine = await makeEngine();
    await using system = await makeSystem(await makeImages({ [APP]: 100 }));
    await engine.wrap(
      '[ "$1" = load ] && { echo "no  such" >&2; echo luck >&2; exit 1; }; exec $podman "$@"',
    );
    const { code, status } = await boot(system, engine);
    assertEquals([code, ...status], [1, `failed ${APP} podman load: no such luck`]);
    engine.command = "false";
    assertEquals((await boot(system, engine)).status, [`failed ${APP} podman does not answer`]);
  });

  it("begins nothing that there is no room for, and needs no more than it says", async () => {
    const sizes = { "localhost/small:1": 100, "localhost/large:1": 8 * 2 ** 20 };
    await using system = await makeSystem(await makeImages(sizes));
    for (const [size, word] of [["31m", "failed"], ["34m", "loaded"]] as const) {
      await using fs = await smallFs(size);
      await using engine = await makeEngine(`${fs.path}/root`);
      const { code, status: [large = "", small] } = await boot(system, engine);
      assertEquals(code, word === "failed" ? 1 : 0, large);
      assertEquals(small, "loaded localhost/small:1");
      if (word === "loaded") assertEquals(large, "loaded localhost/large:1");
      else {assertMatch(
          large,
          /^failed localhost\/large:1 needs 32 MiB in \S+\/root, where 30 MiB are free$/,
        );}
      await Deno.remove(`${system.tree}/var`, { recursive: true });
    }
  });

  const interruptions = {
    "before it loads": 'at load && kill -KILL 0; exec $podman "$@"',
    "while it loads":
      'at load && { head -c 2000 | $podman load; kill -KILL 0; }; exec $podman "$@"',
    "after it has loaded": '$podman "$@" || exit; if at load; then kill -KILL 0; fi',
    "before it gives a name": 'at tag && kill -KILL 0; exec $podman "$@"',
    "after it has given a name": '$podman "$@" || exit; if at tag; then kill -KILL 0; fi',
  };
  for (const [moment, script] of Object.entries(interruptions)) {
    it(`ends well if it was killed ${moment} and is run again`, async () => {
      await using engine = await makeEngine();
      const [image] = await makeImages({ [APP]: 1000 });
      assert(image);
      const names = [APP, "localhost/app:2"];
      await using system = await makeSystem([{ ...image, names }], { deleteAfterLoad: true });
      // Kills the whole session, once.
      const at = 'command=$1; at() { [ "$command" = "$1" ] && mkdir $marks/once 2>/dev/null; }';
      await engine.wrap(`${at}\n${script}`);
      const killed = await boot(system, engine);
      assertEquals(killed.code, 137);
      assertEquals(killed.status, [""]);
      assertEquals((await system.archives()).length, 1);
      const { code, status: [status] } = await boot(system, engine);
      assertEquals(code, 0);
      assertMatch(status ?? "", /^(?:loaded|present) quay\.io\/acme\/app:1$/);
      assertEquals(await engine.images(), [`localhost/app:2 ${image.id}`, `${APP} ${image.id}`]);
      assertEquals(await system.archives(), []);
    });
  }

  it("gives a name to the image of the system that is booted, and no other way than once", async () => {
    await using engine = await makeEngine();
    const [first, second, mine] = await makeImages({ [APP]: 100, b: 200, "c": 300 });
    assert(first && second && mine);
    await using one = await makeSystem([first]);
    await using two = await makeSystem([{ ...second, names: [APP] }]);
    const bootAfter = async (system: System, before: System) => {
      await run("cp", ["-a", "-T", `${before.tree}/var`, `${system.tree}/var`]);
      return (await boot(system, engine)).status;
    };
    const named = async () => (await engine.images()).find((line) => line.startsWith(APP));
    assertEquals((await boot(one, engine)).status, [`loaded ${APP}`]);
    assertEquals(await bootAfter(two, one), [`loaded ${APP}`]);
    assertEquals(await named(), `${APP} ${second.id}`);
    // A system that is rolled back has its own image again.
    assertEquals(await bootAfter(one, two), [`present ${APP}`]);
    assertEquals(await named(), `${APP} ${first.id}`);
    // Who takes another image on purpose keeps it, also where the system's own is gone.
    await engine.podman("pull", "--quiet", `dir:${mine.path}`);
    await engine.podman("tag", mine.id, APP);
    assertEquals((await boot(one, engine)).status, [`replaced ${APP}`]);
    await engine.podman("rmi", first.id);
    assertEquals((await boot(one, engine)).status, [`replaced ${APP}`]);
    assertEquals(await named(), `${APP} ${mine.id}`);
    // Who takes it away has it back.
    await engine.podman("untag", APP, APP);
    assertEquals((await boot(one, engine)).status, [`loaded ${APP}`]);
    assertEquals(await named(), `${APP} ${first.id}`);
  });

  for (const store of ["overlay2", "io.containerd.snapshotter.v1"]) {
    it(`loads into docker, driver: ${store}`, async () => {
      await using engine = await makeEngine();
      const [image, other] = await makeImages({ [APP]: 100, "localhost/other:1": 200 });
      assert(image && other);
      await engine.wrap(`store=${store}\n${DOCKER}`);
      await using system = await makeSystem([{ ...image, names: [APP, "localhost/app:2"] }], {
        engine: "docker",
      });
      assertEquals(await boot(system, engine), { code: 0, status: [`loaded ${APP}`], stderr: "" });
      assertEquals(await boot(system, engine), { code: 0, status: [`present ${APP}`], stderr: "" });
      await engine.podman("untag", image.id, "localhost/app:2");
      await Deno.remove(`${system.tree}/${FOLDER}/images`, { recursive: true });
      assertEquals((await boot(system, engine)).status, [`present ${APP}`]);
      assertEquals(await engine.images(), [`localhost/app:2 ${image.id}`, `${APP} ${image.id}`]);
      // Another image is taken back.
      await using wrong = await makeSystem([other], { engine: "docker" });
      await wrong.edit((text) =>
        text.replace(/^[0-9a-f]{64} [0-9a-f]{64}/m, "a".repeat(64).concat(" ", "b".repeat(64)))
      );
      const failed = "failed localhost/other:1 its archive holds another image: images/";
      assertEquals((await boot(wrong, engine)).status, [`${failed}localhost.other:1.zst`]);
      assertEquals((await engine.images()).length, 2);
    });
  }
});
