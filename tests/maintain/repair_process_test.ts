import { assert, assertEquals } from "@std/assert";
import { retry } from "@std/async/retry";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { cleanEnv, STOWAGE, stowage as cli, writeConfig } from "../cli/cli.ts";
import { assertNothingLeft } from "../sources/fixture.ts";
import { blobsSent, configOf, depotFixture, entryOf } from "./repair_fixture.ts";
import { blobOf, flip, poolPath, verify } from "./verify_fixture.ts";

const depot = await depotFixture();
const { dir, proxy, store } = depot;
/** How many requests had come when the store was full. */
let before: number;

beforeEach(async () => {
  before = proxy.requests.length;
  await writeConfig(dir, configOf(proxy));
});

const args = () => ["verify", "--repair", "--json", "--store", store];

describe("repair by processes", () => {
  it("fetches a layer once where two repair at once", async () => {
    const { base, images } = depot;
    proxy.rules.push({ match: new RegExp(base.digest), fault: { slow: 1_000_000 } });
    await flip(poolPath(store, base.digest), 500);
    await flip(blobOf(store, images[1], images[1].id));
    const both = await Promise.all([1, 2].map(() => cli(args(), { cwd: dir.path })));
    assertEquals(both.map(({ code, stderr }) => [code, stderr]), [[0, ""], [0, ""]]);
    assertEquals(blobsSent(proxy, before)[base.digest], base.size);
    assertEquals((await verify(store)).findings, []);
    await assertNothingLeft(store, 3);
  });

  it("leaves each image as it was, or whole, when it is killed", async () => {
    const { base, images } = depot;
    const config = blobOf(store, images[1], images[1].id);
    for (const match of [new RegExp(base.digest), new RegExp(`blobs/${images[0].id}`)]) {
      await flip(poolPath(store, base.digest), 500);
      await flip(config);
      const from = proxy.requests.length;
      const rule = { match, fault: { slow: 20 } } as const;
      proxy.rules.push(rule);
      const child = new Deno.Command("setsid", {
        ...{ args: ["sh", STOWAGE, ...args()], cwd: dir.path, env: cleanEnv(), clearEnv: true },
        ...{ stdin: "null", stdout: "null", stderr: "null" },
      }).spawn();
      await retry(() => {
        const { requests } = proxy;
        assert(requests.slice(from).some(({ path, bytes }) => match.test(path) && bytes > 0));
      }, { minTimeout: 20, multiplier: 1, maxAttempts: 1000 });
      Deno.kill(-child.pid, "SIGKILL");
      await child.status;
      proxy.rules.length = 0;
      for (const image of images) assert(await Deno.lstat(join(entryOf(store, image), "image")));
      const { code, stderr } = await cli(args(), { cwd: dir.path });
      assertEquals([code, stderr], [0, ""]);
      assertEquals((await verify(store)).findings, []);
      await assertNothingLeft(store, 3);
    }
  });
});
