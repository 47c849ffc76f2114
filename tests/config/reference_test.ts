import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../support/fast_check.ts";
import { formatReference, InvalidValueError, parseReference } from "../../config/mod.ts";

const HEX = "0123456789abcdef".repeat(4);
const DIGEST = `sha256:${HEX}`;

/** What docker makes of references; most of it is in distribution/reference's own tests. */
const RIGHT = {
  "nginx": "docker.io/library/nginx:latest",
  "nginx:1.27": "docker.io/library/nginx:1.27",
  "acme/app": "docker.io/acme/app:latest",
  "acme/app/part": "docker.io/acme/app/part:latest",
  "docker.io/nginx": "docker.io/library/nginx:latest",
  "docker.io/acme/app": "docker.io/acme/app:latest",
  "index.docker.io/nginx": "docker.io/library/nginx:latest",
  "index.docker.io/acme/app": "docker.io/acme/app:latest",
  "quay.io/app": "quay.io/app:latest",
  "quay.io/acme/app:1": "quay.io/acme/app:1",
  "localhost/app": "localhost/app:latest",
  "localhost:5000/app": "localhost:5000/app:latest",
  "localhost:5000/app:1": "localhost:5000/app:1",
  "localhost": "docker.io/library/localhost:latest",
  "localhost:5000": "docker.io/library/localhost:5000",
  "registry:5000/app": "registry:5000/app:latest",
  "registry/app": "docker.io/registry/app:latest",
  "127.0.0.1:5000/app": "127.0.0.1:5000/app:latest",
  "UPPER/app": "UPPER/app:latest",
  "Registry.io/app": "Registry.io/app:latest",
  "xn--n3h.com/app": "xn--n3h.com/app:latest",
  "a_b/c__d/e-f/g---h/i.j": "docker.io/a_b/c__d/e-f/g---h/i.j:latest",
  "app:UPPER_tag.1-2": "docker.io/library/app:UPPER_tag.1-2",
  [`app:${"t".repeat(128)}`]: `docker.io/library/app:${"t".repeat(128)}`,
  [`nginx@${DIGEST}`]: `docker.io/library/nginx@${DIGEST}`,
  [`nginx:1@${DIGEST}`]: `docker.io/library/nginx:1@${DIGEST}`,
  [`localhost:5000/app@${DIGEST}`]: `localhost:5000/app@${DIGEST}`,
  [`${HEX}:1`]: `docker.io/library/${HEX}:1`,
  [`quay.io/${HEX}`]: `quay.io/${HEX}:latest`,
  [`a/${"b".repeat(255 - "docker.io/a/".length)}`]: `docker.io/a/${
    "b".repeat(255 - "docker.io/a/".length)
  }:latest`,
  "docker://nginx": "docker.io/library/nginx:latest",
  "docker://localhost:5000/app:1": "localhost:5000/app:1",
  "docker://quay.io/acme/app;tag=1.4": "quay.io/acme/app:1.4",
  [`docker://quay.io/acme/app;digest=${DIGEST}`]: `quay.io/acme/app@${DIGEST}`,
  [`docker://debian;digest=${DIGEST};tag=12`]: `docker.io/library/debian:12@${DIGEST}`,
  [`docker://debian;tag=12;digest=${DIGEST}`]: `docker.io/library/debian:12@${DIGEST}`,
  [`docker://debian:12;digest=${DIGEST}`]: `docker.io/library/debian:12@${DIGEST}`,
};

const WRONG = {
  "": "[host[:port]/]path",
  "/app": "[host[:port]/]path",
  "quay.io/": "[host[:port]/]path",
  "quay.io//app": "[host[:port]/]path",
  "quay.io/app/": "[host[:port]/]path",
  "quay.io/../app": "[host[:port]/]path",
  "https://quay.io/app": 'a registry host in place of "https:"',
  "app name": "[host[:port]/]path",
  "app\n": "[host[:port]/]path",
  "-app": "[host[:port]/]path",
  "a___b": "[host[:port]/]path",
  "a..b/c": 'a registry host in place of "a..b"',
  "-a.io/app": 'a registry host in place of "-a.io"',
  "quay.io:port/app": 'a registry host in place of "quay.io:port"',
  "[::1]:5000/app": "no IPv6 address",
  "[fd00:1:2::3]/acme/app:1": "no IPv6 address",
  "docker://[::1]/app": "no IPv6 address",
  "[::1/app": "no IPv6 address",
  "nginX": 'a lower-case name, "library/nginx"',
  "quay.io/Acme/App": 'a lower-case name, "acme/app"',
  [HEX]: "64 hex digits",
  "app:": "a tag of at most 128",
  "app:-1": "a tag of at most 128",
  "app:ä": "a tag of at most 128",
  [`app:${"t".repeat(129)}`]: "a tag of at most 128",
  [`a/${"b".repeat(256 - "docker.io/a/".length)}`]: "a name of at most 255",
  "app@": "a digest",
  "app@sha256:123": "a digest",
  "app@sha512:123": "a digest",
  [`app@${DIGEST.toUpperCase()}`]: "a digest",
  [`app@${DIGEST}0`]: "a digest",
  [`app@${DIGEST}@${DIGEST}`]: "a digest",
  "docker://": "[host[:port]/]path",
  "docker://app;": 'in place of ";"',
  "docker://app;tags": 'in place of ";tags"',
  "docker://app;arch=arm64": 'in place of ";arch=arm64"',
  "docker://app;tag=": 'in place of ";tag="',
  "docker://app;tag=-1": 'in place of ";tag=-1"',
  "docker://app;digest=sha256:123": 'in place of ";digest=sha256:123"',
  "docker://app;tag=1;tag=2": 'one ";tag="',
  "docker://app:1;tag=1": "tag and digest once each",
  [`docker://app@${DIGEST};digest=${DIGEST}`]: "tag and digest once each",
  "app;tag=1": "[host[:port]/]path",
};

describe("parseReference()", () => {
  for (const [text, whole] of Object.entries(RIGHT)) {
    it(`reads "${text}"`, () => assertEquals(formatReference(parseReference(text)), whole));
  }

  for (const [text, expected] of Object.entries(WRONG)) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = assertThrows(() => parseReference(text), InvalidValueError);
      assertEquals(error.value, text);
      assertStringIncludes(error.expected, expected);
      assertStringIncludes(error.message, `"${text}"`);
    });
  }

  it("tells the parts", () => {
    assertEquals(parseReference(`localhost:5000/acme/app:1@${DIGEST}`), {
      domain: "localhost:5000",
      path: "acme/app",
      tag: "1",
      digest: DIGEST,
    });
    assertEquals(parseReference(`app@${DIGEST}`), {
      domain: "docker.io",
      path: "library/app",
      digest: DIGEST,
    });
  });

  it("reads what formatReference() writes, and nothing else throws", () => {
    const alphabet = [..."aB1._-/:@;=[]", "localhost", "docker.io", "docker://", "tag", DIGEST];
    const text = fc.array(fc.constantFrom(...alphabet), { maxLength: 12 });
    fc.assert(fc.property(text, (parts) => {
      let reference;
      try {
        reference = parseReference(parts.join(""));
      } catch (error) {
        if (error instanceof InvalidValueError) return;
        throw error;
      }
      assertEquals(parseReference(formatReference(reference)), reference);
    }));
  });
});
