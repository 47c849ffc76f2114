import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type CompressionOptions,
  type Config,
  ConfigError,
  containerLoader,
  docker,
  dockerArchive,
  images,
  ociArchive,
  tree,
} from "@stowage/stowage";

/** What is wrong with the level of each stage that takes one. */
function mistakes(options: CompressionOptions): Record<string, string> {
  const config: Config = {
    sources: { web: docker("nginx") },
    inputs: { files: tree("files"), apps: images({ web: "localhost/web" }) },
    stages: {
      oci: ociArchive({ inputs: ["files"], filename: "app.tar", ...options }),
      docker: dockerArchive({ inputs: ["apps"], ...options }),
      loader: containerLoader({ inputs: ["apps"], engine: "podman", ...options }),
    },
  };
  try {
    compile(config);
    return {};
  } catch (error) {
    assert(error instanceof ConfigError, String(error));
    return Object.fromEntries(error.issues.map(({ path, expected }) => [path, expected]));
  }
}

describe("the level of a compression", () => {
  const refused = "a level from 1 to 9, as gzip has no other";

  it("goes to 9 for gzip, also where that is not said", () => {
    assertEquals(mistakes({ level: 9 }), {});
    assertEquals(mistakes({ level: 10 }), { "stages.oci.level": refused });
    assertEquals(mistakes({ compression: "gzip", level: 10 }), {
      "stages.oci.level": refused,
      "stages.docker.level": refused,
      "stages.loader.level": refused,
    });
  });

  it("goes to 19 for zstd", () => {
    assertEquals(mistakes({ compression: "zstd", level: 19 }), {});
  });
});
