import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  formatPlatform,
  InvalidValueError,
  normalizePlatform,
  parsePlatform,
} from "../../config/mod.ts";

const RIGHT = {
  "linux/amd64": "linux/amd64",
  "linux/amd64/v1": "linux/amd64",
  "linux/amd64/v3": "linux/amd64/v3",
  "linux/arm64": "linux/arm64",
  "linux/arm64/v8": "linux/arm64",
  "linux/arm": "linux/arm/v7",
  "linux/arm/v5": "linux/arm/v5",
  "linux/arm/v7": "linux/arm/v7",
  "windows/amd64": "windows/amd64",
  "linux/x86_64": "linux/amd64",
  "linux/x86-64/v2": "linux/amd64/v2",
  "linux/aarch64": "linux/arm64",
  "linux/aarch64/8": "linux/arm64",
  "linux/arm64/8": "linux/arm64",
  "linux/arm64/v9": "linux/arm64/v9",
  "linux/arm/5": "linux/arm/v5",
  "linux/arm/7": "linux/arm/v7",
  "linux/arm/8": "linux/arm/v8",
  "linux/armhf": "linux/arm/v7",
  "linux/armel/v7": "linux/arm/v6",
  "linux/i386": "linux/386",
  "macos/arm64": "darwin/arm64",
  // Debian's names
  amd64: "linux/amd64",
  arm64: "linux/arm64",
  armel: "linux/arm/v6",
  armhf: "linux/arm/v7",
  i386: "linux/386",
  loong64: "linux/loong64",
  mips64el: "linux/mips64le",
  mipsel: "linux/mipsle",
  ppc64le: "linux/ppc64le",
  ppc64el: "linux/ppc64le",
  riscv64: "linux/riscv64",
  s390x: "linux/s390x",
  // uname's, and so Deno's
  aarch64: "linux/arm64",
  x86_64: "linux/amd64",
};

const WRONG = [
  "",
  "linux",
  "linux/",
  "/amd64",
  "linux//v7",
  "linux/arm/",
  "linux/arm/v7/x",
  "Linux/amd64",
  "linux/arm 64",
  "linux/arm64\n",
  "linux/../amd64",
  "armv9000",
  "constructor",
  "toString",
];

describe("parsePlatform()", () => {
  for (const [text, whole] of Object.entries(RIGHT)) {
    it(`reads "${text}"`, () => assertEquals(formatPlatform(parsePlatform(text)), whole));
  }

  for (const text of WRONG) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = assertThrows(() => parsePlatform(text), InvalidValueError);
      assertEquals(error.value, text);
      assertStringIncludes(error.expected, "os/arch[/variant]");
    });
  }
});

describe("normalizePlatform()", () => {
  it("names what an index has in one way only", () => {
    const arm = { os: "linux", architecture: "arm", variant: "v7" };
    assertEquals(normalizePlatform({ os: "linux", architecture: "arm" }), arm);
    assertEquals(normalizePlatform(arm), arm);
    assertEquals(normalizePlatform({ os: "linux", architecture: "arm64", variant: "v8" }), {
      os: "linux",
      architecture: "arm64",
    });
  });
});
