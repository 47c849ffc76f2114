import { assertEquals, assertRejects } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { parseReference } from "../../../config/reference.ts";
import type { RegistryClient } from "../../../src/transports/docker/client.ts";
import { RegistryError, Unserved } from "../../../src/transports/docker/errors.ts";
import { fixture } from "../../support/fixture.ts";
import { type FaultProxy, fileLayer, pushImage, startFaultProxy } from "../../support/mod.ts";
import { clientWith } from "./fixture.ts";

const { dir, registry, proxy: origin } = await fixture({ registry: true });
const image = await pushImage(registry, "team/app:1", { layers: [await fileLayer({ a: "b" })] });

describe("a mirror", () => {
  let mirror: FaultProxy;
  let client: RegistryClient;

  beforeEach(async () => {
    mirror = await startFaultProxy(registry);
    const registriesConf = dir.join("registries.conf");
    const conf = `
      [[registry]]
      prefix = "registry.acme.io"
      location = "${origin.host}"
      insecure = true
      [[registry.mirror]]
      location = "${mirror.host}/team"
      insecure = true
      pull-from-mirror = "digest-only"`;
    await Deno.writeTextFile(registriesConf, conf);
    client = clientWith({ registriesConf, stallTimeout: 1000 });
  });
  afterEach(async () => {
    client[Symbol.dispose]();
    await mirror[Symbol.asyncDispose]();
  });

  const pinned = () => parseReference(`registry.acme.io/app@${image.digest}`);
  /** What it asked a host for, but for pings. */
  const asked = ({ requests }: Pick<FaultProxy, "requests">) =>
    requests.map(({ method, path }) => `${method} ${path.split("/")[4] ?? ""}`)
      .filter((line) => !line.endsWith(" "));

  it("is asked first, by digest; the registry is not asked then", async () => {
    const bytes = await client.manifest(pinned(), {});
    assertEquals(new TextDecoder().decode(bytes), image.manifest);
    const { body } = await client.blob(pinned(), image.id, {});
    await body.cancel();
    assertEquals([asked(mirror), asked(origin)], [["GET manifests", "GET blobs"], []]);
  });

  it("is not asked what a tag stands for", async () => {
    const reference = parseReference("registry.acme.io/team/app:1");
    assertEquals((await client.head(reference, {}))?.digest, image.digest);
    assertEquals([asked(mirror), asked(origin)], [[], ["HEAD manifests"]]);
  });

  it("that lies is passed over, in what it says and what it serves", async () => {
    const reference = { ...pinned(), path: "team/app" };
    mirror.rules.push({ match: /./, fault: { status: 200, body: "{}" } });
    const bytes = await client.manifest(reference, {});
    assertEquals(new TextDecoder().decode(bytes), image.manifest);
    mirror.rules.unshift({
      match: /^HEAD/,
      fault: { status: 200, headers: { "docker-content-digest": `sha256:${"0".repeat(64)}` } },
    });
    assertEquals((await client.head(reference, {}))?.digest, image.digest);
  });

  it("that does not have it is passed over", async () => {
    mirror.rules.push({ match: /blobs/, fault: { status: 404 } });
    const reference = { ...pinned(), path: "team/app" };
    const { body } = await client.blob(reference, image.id, {});
    await body.cancel();
    assertEquals(asked(origin), ["GET blobs"]);
  });

  it("that stalls is asked last from then on", async () => {
    await client.manifest(pinned(), {});
    mirror.rules.push({ match: /./, fault: "hang" });
    const reference = { ...pinned(), path: "team/app" };
    for (let time = 0; time < 3; time++) await client.manifest(reference, {});
    assertEquals([asked(mirror).length, asked(origin).length], [2, 3]);
  });

  it("that may work in a moment is worth another try, whatever the registry says", async () => {
    mirror.rules.push({ match: /manifests/, fault: { status: 503 } });
    origin.rules.push({ match: /manifests/, fault: { status: 404 } });
    const error = await assertRejects(() => client.manifest(pinned(), {}), RegistryError);
    assertEquals(error.isTransient, true);
    mirror.rules[0] = { match: /manifests/, fault: { status: 403 } };
    await assertRejects(() => client.manifest(pinned(), {}), Unserved, "404");
  });
});
