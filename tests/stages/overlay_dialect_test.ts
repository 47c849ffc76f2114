import { assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StageError } from "../../src/errors/mod.ts";
import { refuseDialects } from "../../src/stages/run/overlay_dialect.ts";
import { fixture } from "../support/fixture.ts";

const { dir } = await fixture({ files: { "storage/overlay/.has-mount-program": "false" } });
const stage = { name: "os", signal: new AbortController().signal };

describe("refuseDialects()", () => {
  it("refuses a storage that a mount program has written", async () => {
    await refuseDialects(dir.join("storage"), stage);
    await Deno.writeTextFile(dir.join("storage/overlay/.has-mount-program"), "true");
    const refusing = () => refuseDialects(dir.join("storage"), stage);
    await assertRejects(refusing, StageError, "written by a mount program");
  });
});
