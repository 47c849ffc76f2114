import { assertEquals, assertMatch } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import {
  denoProgram,
  fileLayer,
  type PushedImage,
  pushImage,
  type Registry,
  run,
  startFaultProxy,
  startRegistry,
} from "../../support/mod.ts";

const JOB = import.meta.resolve("./head_job.ts");
// Nothing listens there.
const DEAD = "http://127.0.0.1:9";

/** What a process with some variables is told of an image. */
async function head(image: string, how: unknown, env: Record<string, string>): Promise<string> {
  const program = denoProgram(JOB, image, JSON.stringify(how));
  return await run(...program, { env: { NO_PROXY: "", ...env } });
}

describe("a proxy of the environment", () => {
  let registry: Registry;
  let image: PushedImage;
  beforeAll(async () => {
    registry = await startRegistry();
    image = await pushImage(registry, "team/app:1", { layers: [await fileLayer({ a: "b" })] });
  });
  afterAll(async () => await registry[Symbol.asyncDispose]());

  it("is used for what is not on this machine", async () => {
    await using proxy = await startFaultProxy(registry);
    const env = { HTTP_PROXY: `http://${proxy.host}` };
    const name = "registry.invalid/team/app:1";
    assertEquals(await head(name, { tlsVerify: false }, env), image.digest);
    assertEquals(proxy.requests.at(-1)?.path, "http://registry.invalid/v2/team/app/manifests/1");
    assertMatch(await head(name, {}, { HTTPS_PROXY: DEAD }), /^Unreachable: .*refused/);
  });

  it("is not used for this machine, nor where NO_PROXY says so", async () => {
    const http = { tlsVerify: false };
    const env = { HTTP_PROXY: DEAD, HTTPS_PROXY: DEAD };
    assertEquals(
      await head(image.reference, http, { ...env, NO_PROXY: "a.io, 127.0.0.1" }),
      image.digest,
    );
    assertMatch(await head(image.reference, http, env), /^Unserved: .* not behind the proxy/);
    const name = "registry.invalid/team/app:1";
    assertMatch(await head(name, {}, { ...env, NO_PROXY: "*" }), /^Unserved/);
    assertMatch(await head(name, {}, { ...env, NO_PROXY: "invalid" }), /dns error/);
  });
});
