import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StageError } from "../../src/errors/mod.ts";
import { run } from "../support/mod.ts";
import {
  APP,
  boot,
  FOLDER,
  loaderFixture,
  makeEngine,
  makeSystem,
  type System,
} from "./loader_system.ts";

const { makeImages } = await loaderFixture();

describe("containerLoader()", () => {
  it("makes a list, a script that shellcheck likes, and a unit that is wanted", async () => {
    const [small, large] = await makeImages({ [APP]: 100, "localhost/large:2": 10_000 });
    assert(small && large);
    for (const engine of ["podman", "docker"] as const) {
      await using system = await makeSystem([small, large], { engine, deleteAfterLoad: true });
      const script = `${system.tree}/${FOLDER}/container-loader.sh`;
      await run("shellcheck", ["--shell=sh", script]);
      assertEquals((await Deno.stat(script)).mode! & 0o777, 0o755);
      const list = await Deno.readTextFile(`${system.tree}/${FOLDER}/images.list`);
      const [header, ...lines] = list.trimEnd().split("\n");
      assertEquals(header, `# stowage container-loader 1 ${engine}`);
      const hex = "[0-9a-f]{64}";
      assertMatch(
        lines.join("\n"),
        new RegExp(
          `^${
            large.id.slice(7)
          } ${hex} ${hex} \\d+ delete localhost.large:2.zst localhost/large:2\n` +
            `${small.id.slice(7)} ${hex} ${hex} \\d+ delete quay.io.acme.app:1.zst ${APP}$`,
        ),
      );
      assertEquals(await system.archives(), ["localhost.large:2.zst", "quay.io.acme.app:1.zst"]);
      const units = `${system.tree}/usr/lib/systemd/system`;
      const unit = await Deno.readTextFile(`${units}/stowage-container-loader.service`);
      assertEquals(unit.includes("Requires=docker.service\n"), engine === "docker");
      assert(unit.includes(`\nExecStart=/bin/sh /${FOLDER}/container-loader.sh\n`));
      assert(unit.includes(`\nConditionPathExists=/${FOLDER}/images.list\n`));
      const wanted = `${units}/multi-user.target.wants/stowage-container-loader.service`;
      assertEquals(await Deno.realPath(wanted), `${units}/stowage-container-loader.service`);
      for (const path of [script, wanted, units, `${system.tree}/usr`]) {
        assertEquals((await Deno.lstat(path)).mtime?.getTime(), 0, path);
      }
    }
  });

  it("adds images to the loader that another stage has made", async () => {
    await using engine = await makeEngine();
    const [first, second] = await makeImages({ [APP]: 100, "localhost/large:2": 10_000 });
    assert(first && second);
    await using system = await makeSystem([first], { deleteAfterLoad: true });
    await system.add([second, { ...first, names: ["localhost/app:1"] }]);
    const list = await Deno.readTextFile(`${system.tree}/${FOLDER}/images.list`);
    const ends = list.trimEnd().split("\n").map((line) => line.split(" ").slice(4).join(" "));
    assertEquals(ends.slice(1), [
      "delete localhost.large:2.zst localhost/large:2",
      `delete quay.io.acme.app:1.zst ${APP} localhost/app:1`,
    ]);
    await system.add([first], { deleteAfterLoad: false });
    assertEquals(await boot(system, engine), {
      code: 0,
      status: ["loaded localhost/large:2", `loaded ${APP}`],
      stderr: "",
    });
    assertEquals(await system.archives(), ["quay.io.acme.app:1.zst"]);
    assertEquals(await engine.images(), [
      `localhost/app:1 ${first.id}`,
      `localhost/large:2 ${second.id}`,
      `${APP} ${first.id}`,
    ]);
  });

  it("refuses a name for two images, another engine, and a list that it does not know", async () => {
    const [image, other] = await makeImages({ [APP]: 100, "quay.io/acme.app:1": 200 });
    assert(image && other);
    await using system = await makeSystem([image]);
    const refuse = (message: string, ...args: Parameters<System["add"]>) =>
      assertRejects(() => system.add(...args), StageError, message);
    await refuse('two archives of the loader would be called "quay.io.acme.app:1.zst"', [other]);
    const taken = [{ ...other, names: ["localhost/other:1", APP] }];
    await refuse(`two images of the loader would be called "${APP}"`, taken);
    await refuse('its list begins with "# stowage container-loader 1 podman"', [image], {
      engine: "docker",
    });
    await system.edit((text) => `${text}what is this\n`);
    await refuse('images.list has a line "what is this"', [image]);
    await system.edit((text) => text.replace("loader 1", "loader 9"));
    await refuse('its list begins with "# stowage container-loader 9 podman"', [image]);
  });
});
