import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, docker } from "@stowage/stowage";
import { findSettings } from "../../config/registries.ts";

const SETTINGS = {
  "acme.io": { authFile: "acme.json", certDir: "certs" },
  "acme.io/edge": { authFile: "edge.json" },
  "acme.io:5000": { tlsVerify: false },
};

describe("findSettings()", () => {
  const cases = {
    "acme.io": "acme.io",
    "acme.io/app": "acme.io",
    "acme.io/edge": "acme.io/edge",
    "acme.io/edge/app": "acme.io/edge",
    "acme.io/edges/app": "acme.io",
    "acme.io:5000/edge/app": "acme.io:5000",
    "acme.io:50001/app": undefined,
    "eu.acme.io/app": undefined,
  };
  for (const [name, key] of Object.entries(cases)) {
    it(`finds ${key ?? "nothing"} for ${name}`, () => {
      assertEquals(findSettings(name, SETTINGS).of, key);
    });
  }
});

it("settings of a registry count for sources and fallbacks, unless these say it themselves", () => {
  const { nodes } = compile({
    registries: SETTINGS,
    sources: {
      app: docker("acme.io/app:1", {
        authFile: "own.json",
        fallback: [docker("acme.io:5000/app:1"), docker("acme.io:5000/b:1", { tlsVerify: true })],
      }),
    },
  });
  const node = nodes.get("source/app");
  const locations = node?.kind === "source" ? node.locations : [];
  const hows = locations.map((location) => {
    if (location.transport !== "docker") return undefined;
    const { reference: _, transport: _transport, ...how } = location;
    return how;
  });
  assertEquals(hows, [
    { tlsVerify: true, authFile: "own.json", certDir: "certs" },
    { tlsVerify: false },
    { tlsVerify: true },
  ]);
});

it("settings of a registry do not change which image is meant", () => {
  const sources = { app: docker("acme.io/app:1") };
  const [one, other] = [compile({ sources }), compile({ sources, registries: SETTINGS })];
  assertEquals(one.nodes.get("source/app")?.id, other.nodes.get("source/app")?.id);
});
