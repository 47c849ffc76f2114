import { assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, type Config, ConfigError, copyTree, docker } from "../../mod.ts";

describe("ConfigError", () => {
  const error = assertThrows(() =>
    compile({
      platform: "here",
      sources: {
        proxy: { ...docker("Caddy"), digest: "x" },
        agent: { ...docker("agent"), ...{ tlsverify: false } },
      },
      inputs: {
        apps: { type: "images", images: { proxi: "a", agent: "B" } },
        more: { type: "images", images: [{ source: "agnt" }] },
      },
      stages: {
        os: { type: "exec", command: ["true"], inputs: ["app", "more"], on: "other" },
        so: { ...copyTree({ inputs: ["more"], on: "oss" }), ...{ colour: "red" } },
      },
    })
  );
  assertInstanceOf(error, ConfigError);

  it("has every mistake", () => {
    assertEquals(error.issues.map(({ path }) => path), [
      "platform",
      "sources.proxy.reference",
      "sources.proxy.digest",
      "sources.agent.tlsverify",
      "inputs.apps.images.agent",
      "stages.so.colour",
      "inputs.apps.images.proxi",
      "inputs.more.images.0.source",
      "stages.os.inputs.0",
      "stages.os.on",
      "stages.so.on",
      "stages.so.inputs.0",
    ]);
  });

  it("has every circle", () => {
    const stages: Config["stages"] = {
      a: { type: "exec", command: ["true"], on: "b" },
      b: { type: "exec", command: ["true"], on: "a" },
      c: { type: "exec", command: ["true"], on: "c" },
      d: { type: "exec", command: ["true"], on: "e" },
    };
    const { issues } = assertThrows(() => compile({ stages }), ConfigError);
    assertEquals(issues.map(({ path, value }) => [path, value]), [
      ["stages.d.on", "e"],
      ["stages.a", "stages.a → stages.b → stages.a"],
      ["stages.c", "stages.c → stages.c"],
    ]);
  });

  it("says where, what is right, what is there, and what was meant", () => {
    assertStringIncludes(error.message, "Cannot use the config: 12 mistakes\n");
    assertStringIncludes(
      error.message,
      '  sources.proxy.digest: expected "sha256:" and 64 lower-case hex digits, it is "x"\n',
    );
    assertStringIncludes(
      error.message,
      '  stages.os.inputs.0: expected the name of one of the inputs, it is "app"; did you mean "apps"?\n',
    );
  });

  it("is plain data with a code for scripts", () => {
    const { code, issues } = JSON.parse(JSON.stringify(error));
    assertEquals(code, "CONFIG_INVALID");
    assertEquals(issues, error.issues);
  });

  it("does not tell the login of a reference", () => {
    for (const reference of ["https://ann:open-sesame@a.io/b", "ann:open-sesame@a.io/b"]) {
      const told = assertThrows(
        () => compile({ sources: { a: { type: "docker", reference } } }),
        ConfigError,
      );
      assertEquals(JSON.stringify([told, told.message]).includes("open-sesame"), false);
    }
  });
});
