import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { RegistryError, Unserved } from "../../../src/transports/docker/errors.ts";
import { beginUpload } from "../../../src/transports/docker/repository.ts";
import { fixture } from "../../support/fixture.ts";
import { randomLayer } from "../../support/mod.ts";
import { clientWith } from "./fixture.ts";

const { dir, registry, proxy } = await fixture({ registry: true });
const PIECE = 2 ** 20;
const layer = await randomLayer({ size: 4.5 * PIECE });

/** Uploads the layer until it is there, and counts. */
async function upload(path: string) {
  const file = dir.join("layer");
  await Deno.writeFile(file, layer.bytes);
  using client = clientWith();
  const reference = { domain: proxy.host, path };
  const repository = await client.repository(reference, { tlsVerify: false });
  const state = beginUpload(PIECE);
  const { digest, size } = layer;
  let [sent, tries] = [0, 0];
  for (;;) {
    tries++;
    try {
      await repository.upload({ digest, size, path: file }, state, (bytes) => sent += bytes);
      break;
    } catch (error) {
      if (!(error instanceof RegistryError) || tries > 5) throw error;
    }
  }
  const blob = await registry.fetch(`/v2/${path}/blobs/${digest}`);
  assertEquals(await blob.bytes(), layer.bytes);
  assertEquals(sent, size);
  const ranges = proxy.requests.filter(({ method }) => method === "PATCH")
    .map(({ headers, status }) => [headers["content-range"], status]);
  return { tries, ranges };
}

describe("the upload of a blob", () => {
  const range = (from: number, to: number) =>
    `${from * PIECE}-${Math.min(to * PIECE, layer.size) - 1}`;

  it("takes one request for the blob, where that does", async () => {
    assertEquals(await upload("a/whole"), { tries: 1, ranges: [[undefined, 202]] });
  });

  it("goes on in pieces where the whole is too much, and where a piece was lost", async () => {
    let pieces = 0;
    proxy.rules.push(
      { match: /^PATCH /, times: 1, fault: { status: 413 } },
      {
        match: ({ headers, method }) =>
          method === "PATCH" && headers["content-range"] !== undefined && ++pieces === 3,
        fault: { status: 502 },
      },
    );
    assertEquals(await upload("a/pieces"), {
      tries: 2,
      ranges: [
        [undefined, 413],
        [range(0, 1), 202],
        [range(1, 2), 202],
        [range(2, 3), 502],
        [range(2, 3), 202],
        [range(3, 4), 202],
        [range(4, 5), 202],
      ],
    });
  });

  it("begins anew where the registry has forgotten it", async () => {
    proxy.rules.push(
      { match: /^PATCH /, times: 1, fault: "reset" },
      { match: /^GET .*uploads/, times: 1, fault: { status: 404 } },
    );
    const { tries, ranges } = await upload("a/anew");
    assertEquals([tries, ranges.length], [2, 6]);
  });

  it("is refused with other bytes than the digest's", async () => {
    const file = dir.join("other");
    await Deno.writeFile(file, layer.bytes.toReversed());
    using client = clientWith();
    const repository = await client.repository({ domain: proxy.host, path: "a/b" }, {
      tlsVerify: false,
    });
    const { digest, size } = layer;
    await assertRejects(
      () => repository.upload({ digest, size, path: file }, beginUpload(), () => {}),
      Unserved,
      "DIGEST_INVALID",
    );
  });
});
