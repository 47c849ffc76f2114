import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../../support/fast_check.ts";
import { formatReference, parseReference } from "../../../config/reference.ts";
import { findEndpoints, matchPrefix } from "../../../src/transports/docker/endpoints.ts";
import { Unserved } from "../../../src/transports/docker/errors.ts";
import { readRegistriesConf } from "../../../src/transports/docker/registries_conf.ts";
import { toSite } from "../../../src/transports/docker/site.ts";
import { fixture } from "../../support/fixture.ts";

const { dir } = await fixture();
const digest = `sha256:${"0".repeat(64)}`;

/** The endpoints of an image, those that are insecure with a "!". */
async function endpoints(image: string, conf: string): Promise<string[]> {
  await Deno.writeTextFile(dir.join("registries.conf"), conf);
  const settings = await readRegistriesConf(dir.join("registries.conf"));
  return findEndpoints(parseReference(image), settings).map(({ reference, isInsecure }) =>
    `${formatReference(reference)}${isInsecure ? "!" : ""}`
  );
}

describe("the endpoints of an image", () => {
  it("are its own registry where nothing is said", async () => {
    assertEquals(await endpoints("a.io/b:1", ""), ["a.io/b:1"]);
    assertEquals(await endpoints("a.io/b:1", "[registries.search]\nregistries = []"), ["a.io/b:1"]);
  });

  it("are what Go reads, to which the case of a key means nothing", async () => {
    const conf = '[[Registry]]\nPrefix = "a.io"\nlocation = "c.io"\nINSECURE = true';
    assertEquals(await endpoints("a.io/b:1", conf), ["c.io/b:1!"]);
    const blocked = '[[registry]]\nlocation = "a.io"\nBlocked = true';
    await assertRejects(() => endpoints("a.io/b:1", blocked), Unserved, "blocks");
    await assertRejects(() => endpoints("a.io/b:1", `${blocked}\nblocked = false`), Unserved);
  });

  it("are the mirrors in order, then the registry", async () => {
    const conf = `
      [[registry]]
      prefix = "docker.io"
      location = "docker.io"
      [[registry.mirror]]
      location = "127.0.0.1:5000/hub/"
      insecure = true
      [[registry.mirror]]
      location = "mirror.acme.io"`;
    assertEquals(await endpoints("nginx:1", conf), [
      "127.0.0.1:5000/hub/library/nginx:1!",
      "mirror.acme.io/library/nginx:1",
      "docker.io/library/nginx:1",
    ]);
  });

  it("are those of the longest prefix", async () => {
    const conf = ["a.io", "a.io/b", "a.io/b/c", "a.io/bc"].map((prefix) =>
      `[[registry]]\nprefix = "${prefix}"\nlocation = "x.io/${prefix}"`
    ).join("\n");
    assertEquals(await endpoints("a.io/b/c:1", conf), ["x.io/a.io/b/c:1"]);
    assertEquals(await endpoints("a.io/b/cd:1", conf), ["x.io/a.io/b/cd:1"]);
    assertEquals(await endpoints("a.io/e:1", conf), ["x.io/a.io/e:1"]);
    assertEquals(await endpoints("b.io/e:1", conf), ["b.io/e:1"]);
  });

  it("may be those of all subdomains", async () => {
    const conf = '[[registry]]\nprefix = "*.acme.io"\n[[registry.mirror]]\nlocation = "m.io/x"';
    assertEquals(await endpoints("a.b.acme.io/c:1", conf), ["m.io/x/c:1", "a.b.acme.io/c:1"]);
    assertEquals(await endpoints("acme.io/c:1", conf), ["acme.io/c:1"]);
  });

  it("depend on whether a digest is asked for", async () => {
    const mirrors = ["all", "digest-only", "tag-only"].map((only) =>
      `[[registry.mirror]]\nlocation = "${only}.io"\npull-from-mirror = "${only}"`
    );
    const conf = ['[[registry]]\nlocation = "a.io"', ...mirrors].join("\n");
    const names = (list: string[]) => list.map((each) => each.split("/")[0]);
    assertEquals(names(await endpoints("a.io/b:1", conf)), ["all.io", "tag-only.io", "a.io"]);
    assertEquals(names(await endpoints(`a.io/b@${digest}`, conf)), [
      "all.io",
      "digest-only.io",
      "a.io",
    ]);
    const old = `
      [[registry]]
      location = "a.io"
      mirror-by-digest-only = true
      [[registry.mirror]]
      location = "m.io"`;
    assertEquals(names(await endpoints("a.io/b:1", old)), ["a.io"]);
    assertEquals(names(await endpoints(`a.io/b@${digest}`, old)), ["m.io", "a.io"]);
  });

  for (
    const [what, conf] of [
      ["blocked registries", '[[registry]]\nlocation = "a.io"\nblocked = true'],
      [
        "blocked registries that are elsewhere",
        '[[registry]]\nprefix = "a.io"\nlocation = "b.io"\nblocked = true',
      ],
      [
        "registries that stand for blocked ones",
        '[[registry]]\nprefix = "a.io"\nlocation = "b.io"\n' +
        '[[registry]]\nlocation = "b.io"\nblocked = true',
      ],
      ["locations that are no host", '[[registry]]\nprefix = "a.io"\nlocation = "mirror"'],
      ["version 1 of the format", '[registries.insecure]\nregistries = ["a.io"]'],
      ["URLs", '[[registry]]\nlocation = "https://a.io"'],
      [
        "unknown rules",
        '[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\n' +
        'location = "b.io"\npull-from-mirror = "sometimes"',
      ],
      ["what is no TOML", "[[registry"],
    ] as const
  ) {
    it(`are none of ours with ${what}`, async () => {
      const error = await endpoints("a.io/b:1", conf).catch((error) => error);
      assertThrows(() => {
        throw error;
      }, Unserved);
    });
  }
});

it("Docker Hub is not where its name is", () => {
  const { host, domain } = toSite(parseReference("nginx"), false, {});
  assertEquals([host, domain], ["registry-1.docker.io", "docker.io"]);
});

describe("a prefix", () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,5}$/);
  const name = fc.tuple(
    fc.array(label, { minLength: 2, maxLength: 4 }).map((parts) => parts.join(".")),
    fc.array(label, { minLength: 1, maxLength: 4 }),
  );

  it("matches a name at the ends of its parts only", () => {
    fc.assert(fc.property(name, fc.nat({ max: 40 }), ([domain, parts], length) => {
      const whole = [domain, ...parts].join("/");
      const prefix = whole.slice(0, Math.max(1, length));
      const isPart = whole === prefix || whole.startsWith(`${prefix}/`);
      assertEquals(matchPrefix(whole, prefix), isPart ? prefix.length : undefined);
    }));
  });

  it("with an asterisk matches what is before the domain, and nothing in the path", () => {
    fc.assert(fc.property(name, label, ([domain, parts], sub) => {
      const path = parts.join("/");
      assertEquals(matchPrefix(`0.${domain}/${path}`, `*.${domain}`), domain.length + 2);
      assertEquals(matchPrefix(`${sub}/x.${domain}/${path}`, `*.${domain}`), undefined);
      assertEquals(matchPrefix(`0.${domain}z/${path}`, `*.${domain}`), undefined);
    }));
  });
});
