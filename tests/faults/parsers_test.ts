import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../support/fast_check.ts";
import { formatPlatform, formatReference, parsePlatform, parseReference } from "@stowage/stowage";
import { parseStorageLocation } from "../../config/storage.ts";
import { GLOBAL_FLAGS, readFlags, splitCommand } from "../../src/cli/flags.ts";
import { plain } from "../../src/lib/words.ts";
import { findRuling, holdToName, isOpen, readPolicy } from "../../src/trust/policy.ts";
import { examineImageConfig, platformOf, readManifest } from "../../src/store/manifest.ts";
import { blobsOf, sizeOfImage } from "../../src/store/listed_blobs.ts";
import { readFailure } from "../../src/tools/skopeo_failure.ts";
import { skopeoImage } from "../support/mod.ts";
import { fileOf, json, mutated, parameters, text } from "./arbitraries.ts";
import { IMAGE_CONFIG, INDEX, MANIFEST, POLICY, REFERENCES, SKOPEO_ERRORS } from "./examples.ts";
import { robust } from "./robust.ts";

function encode(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

/** Text that is nearly what a parser takes. */
function nearly(...right: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    text,
    fc.tuple(fc.constantFrom(...right), fc.nat(), fc.nat(3), text).map(([word, at, count, put]) => {
      const start = at % (word.length + 1);
      return word.slice(0, start) + put + word.slice(start + count);
    }),
  );
}

describe("whatever is read is read or explained:", () => {
  it("references", async () => {
    await fc.assert(
      fc.asyncProperty(nearly(...REFERENCES), async (written) => {
        const read = await robust(() => parseReference(written));
        if (!read) return;
        const normal = formatReference(read.value);
        assert(!/[^!-~]/.test(normal), normal);
        assertEquals(parseReference(normal), read.value);
      }),
      parameters,
    );
  });

  it("platforms", async () => {
    const right = ["linux/amd64", "linux/arm/v7", "armhf", "windows/amd64"];
    await fc.assert(
      fc.asyncProperty(nearly(...right), async (written) => {
        const read = await robust(() => parsePlatform(written));
        if (!read) return;
        const normal = formatPlatform(read.value);
        assertEquals(formatPlatform(parsePlatform(normal)), normal);
      }),
      parameters,
    );
  });

  it("storage locations", async () => {
    const right = ["/srv/storage", "[overlay@/srv/storage+/run/storage]", "[/srv]"];
    await fc.assert(
      fc.asyncProperty(nearly(...right), async (written) => {
        const read = await robust(() => parseStorageLocation(written));
        if (read) assert(!/[@+\]:\0]/.test(`${read.value.root}${read.value.runRoot}`), written);
      }),
      parameters,
    );
  });

  it("manifests and indexes", async () => {
    await fc.assert(
      fc.asyncProperty(fileOf(fc.oneof(mutated(MANIFEST, INDEX), json)), async (file) => {
        const read = await robust(() => readManifest(encode(file)));
        assert(read, "it throws");
        const found = read.value;
        if (found.kind === "invalid") {
          assert(found.reason.length < 500, found.reason);
          assertEquals(plain(found.reason), found.reason);
        } else if (found.kind === "image") {
          for (const digest of blobsOf(found.manifest).keys()) {
            assert(/^sha256:[0-9a-f]{64}$/.test(digest), digest);
          }
          assert(Number.isSafeInteger(sizeOfImage(found.manifest)));
        } else {
          for (const { platform } of found.index.manifests) {
            if (platform) assert(/^[\w./-]*$/.test(formatPlatform(platformOf(platform))));
          }
        }
      }),
      parameters,
    );
  });

  it("configs of images", async () => {
    await fc.assert(
      fc.asyncProperty(fileOf(fc.oneof(mutated(IMAGE_CONFIG), json)), async (file) => {
        const read = await robust(() => examineImageConfig(encode(file)));
        assert(read, "it throws");
        if ("reason" in read.value) assertEquals(plain(read.value.reason), read.value.reason);
        else assert(/^[\w./-]*$/.test(formatPlatform(platformOf(read.value.config))));
      }),
      parameters,
    );
  });

  it("signature policies", async () => {
    const subjects = REFERENCES.map((each) => ({
      transport: "docker",
      reference: parseReference(each),
    }));
    await fc.assert(
      fc.asyncProperty(
        fileOf(fc.oneof(mutated(POLICY), json)),
        fc.constantFrom(...subjects),
        async (file, subject) => {
          await robust(() => {
            const policy = readPolicy(file);
            if (!policy) return;
            const { requirements } = findRuling(policy, subject);
            isOpen(holdToName(requirements, subject));
          });
        },
      ),
      parameters,
    );
  });

  it("what skopeo says", async () => {
    const images = [...REFERENCES.map((each) => `docker://${each}`), "dir:/x", "oci:/y:z", ""];
    await fc.assert(
      fc.asyncProperty(
        nearly(...SKOPEO_ERRORS),
        fc.oneof(fc.constantFrom(...images), text),
        async (stderr, image) => {
          const read = await robust(() => {
            const of = { image: skopeoImage(image), isRemote: image.startsWith("docker") };
            return readFailure(stderr, of);
          });
          assert(read, "it throws");
          assert(read.value.message.length <= stderr.length + 20);
        },
      ),
      parameters,
    );
  });

  it("command lines", async () => {
    const flags = GLOBAL_FLAGS.flatMap(({ name, alias }) => [`--${name}`, `-${alias ?? "x"}`]);
    const word = fc.oneof(
      text,
      fc.constantFrom(...flags, "build", "--", "-"),
      fc.tuple(fc.constantFrom(...flags), text).map((parts) => parts.join("=")),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (args) => {
        const read = await robust(() => {
          const { rest } = splitCommand(args);
          const read = readFlags(rest, GLOBAL_FLAGS);
          return GLOBAL_FLAGS.map(({ name, value }) =>
            name === "jobs" ? read.number(name) : value ? read.text(name) : read.has(name)
          );
        });
        for (const value of read?.value ?? []) {
          assert(["string", "boolean", "number", "undefined"].includes(typeof value));
        }
      }),
      parameters,
    );
  });

  it("text that is shown", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, fc.string({ unit: "binary" })), async (words) => {
        const shown = await robust(() => plain(words));
        const moving = /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/u;
        assert(shown && !moving.test(shown.value), JSON.stringify(shown?.value));
      }),
      parameters,
    );
  });
});
