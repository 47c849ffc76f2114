import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, type Config, ConfigError, type ConfigIssue } from "../../mod.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const OTHER = `sha256:${"b".repeat(64)}`;
const NAME =
  "a name of at most 100 letters, digits, dots, underscores and dashes, beginning with a letter or digit";
const LIST = "an object in place of this list";
const KEYS =
  'one of "type", "reference", "tlsVerify", "authFile", "certDir", "referrers", "tags", "digest", "id", "platform", "platforms", "index", "fallback" in place of this key';
const RESERVED = "another key, as JavaScript keeps this one";

/** Compiles what may be no config at all, as JSON may be. */
function mistakesOf(config: unknown): readonly ConfigIssue[] {
  return assertThrows(() => compile(config as Config), ConfigError).issues;
}

/** The mistakes of a config as JSON text. */
function mistakesOfJson(text: string): readonly ConfigIssue[] {
  return mistakesOf(JSON.parse(text));
}

const web = { type: "docker", reference: "nginx" };
const exec = { type: "exec", command: ["true"] };
const archive = { type: "docker-archive", inputs: ["i"] };
const inputs = { i: { type: "images", images: { web: "web" } }, t: { type: "tree", path: "t" } };
const given = { sources: { web }, inputs };

/** A config with one mistake, and that mistake. */
const MISTAKES: readonly [config: unknown, issue: ConfigIssue][] = [
  // the config as a whole
  [undefined, { path: "", expected: "Object" }],
  [null, { path: "", value: null, expected: "Object" }],
  ["x", { path: "", value: "x", expected: "Object" }],
  [[], { path: "", value: [], expected: LIST }],
  [{ sources: [] }, { path: "sources", value: [], expected: LIST }],
  [{ inputs: 1 }, { path: "inputs", value: 1, expected: "Object" }],
  [{ platform: "linux" }, {
    path: "platform",
    value: "linux",
    expected: '"os/arch[/variant]" such as "linux/arm/v7", or a Debian name such as "armhf"',
  }],
  [{ stage: {} }, {
    path: "stage",
    value: {},
    expected:
      'one of "$schema", "platform", "digests", "policy", "registriesD", "mirrors", "registries", "cache", "sources", "inputs", "stages" in place of this key',
    suggestion: "stages",
  }],
  [{ digests: "required" }, {
    path: "digests",
    value: "required",
    expected: '"require" or "warn" or "ignore"',
    suggestion: "require",
  }],
  // registries
  ...([
    ["https://a.io", '"a.io", without a scheme'],
    ["docker://a.io/x/", '"a.io/x", without a scheme'],
    ["a.io/", '"a.io", without a slash at its end'],
    ["index.docker.io/acme", '"docker.io/acme", as Docker Hub is called'],
    ["*.acme.io", "a registry's own name, as there are no patterns here"],
    ["a.io/x:1", '"host[:port][/path]", without a tag or a digest'],
    ["acme/app", '"host[:port][/path]", where a host has a dot or a port, or is "localhost"'],
    ["[::1]:5000", "a host name (skopeo takes no IPv6 address; /etc/hosts can name one)"],
  ] as const).map(([key, expected]): [unknown, ConfigIssue] => [
    { registries: { [key]: { tlsVerify: false } } },
    {
      path: `registries.${key}`,
      value: { tlsVerify: false },
      expected,
    },
  ]),
  [{ registries: { "a.io": { tlsVerfy: false } } }, {
    path: "registries.a.io.tlsVerfy",
    value: false,
    expected: 'one of "tlsVerify", "authFile", "certDir" in place of this key',
    suggestion: "tlsVerify",
  }],
  [{ registries: { "a.io": { tlsVerify: "no" } } }, {
    path: "registries.a.io.tlsVerify",
    value: "no",
    expected: "boolean",
  }],
  [{ mirrors: { "a.io": ["b.io/hub"] }, registries: { "b.io": { authFile: "b.json" } } }, {
    path: "registries.b.io.authFile",
    value: "b.json",
    expected: 'the same as registries.a.io has, as "b.io/hub" is a mirror of that',
  }],
  // names
  [{ sources: { "a b": web } }, { path: "sources.a b", value: web, expected: NAME }],
  [{ sources: { "": web } }, { path: "sources.", value: web, expected: NAME }],
  [{ stages: { "../x": exec } }, { path: "stages.../x", value: exec, expected: NAME }],
  [{ sources: { constructor: web } }, {
    path: "sources.constructor",
    value: web,
    expected: RESERVED,
  }],
  // sources
  [{ sources: { a: null } }, { path: "sources.a", value: null, expected: "Object" }],
  [{ sources: { a: {} } }, {
    path: "sources.a.type",
    expected:
      '"docker" or "containers-storage" or "docker-daemon" or "dir" or "oci" or "oci-archive" or "docker-archive" or "artifact"',
  }],
  [{ sources: { a: { ...web, type: "dokcer" } } }, {
    path: "sources.a.type",
    value: "dokcer",
    expected:
      '"docker" or "containers-storage" or "docker-daemon" or "dir" or "oci" or "oci-archive" or "docker-archive" or "artifact"',
    suggestion: "docker",
  }],
  [{ sources: { a: { type: "docker" } } }, {
    path: "sources.a.reference",
    expected: "a value",
  }],
  [{ sources: { a: { ...web, reference: 5 } } }, {
    path: "sources.a.reference",
    value: 5,
    expected: "string",
  }],
  [{ sources: { a: { ...web, reference: "Nginx" } } }, {
    path: "sources.a.reference",
    value: "Nginx",
    expected: 'a lower-case name, "library/nginx"',
  }],
  [{ sources: { a: { ...web, id: "sha256:12" } } }, {
    path: "sources.a.id",
    value: "sha256:12",
    expected: '"sha256:" and 64 lower-case hex digits',
  }],
  [{ sources: { a: { ...web, diggest: DIGEST } } }, {
    path: "sources.a.diggest",
    value: DIGEST,
    expected: KEYS,
    suggestion: "digest",
  }],
  [{ sources: { a: { ...web, unheardOf: undefined } } }, {
    path: "sources.a.unheardOf",
    expected: KEYS,
  }],
  [{ sources: { a: { ...web, reference: `nginx@${DIGEST}`, digest: OTHER } } }, {
    path: "sources.a.digest",
    value: OTHER,
    expected: `the digest of its reference, "${DIGEST}"`,
  }],
  [{ sources: { a: { ...web, fallback: [web, { type: "containers-storage", driver: "vf" }] } } }, {
    path: "sources.a.fallback.1.driver",
    value: "vf",
    expected: '"overlay" or "vfs"',
    suggestion: "vfs",
  }],
  [{ sources: { a: { type: "dir", path: "x", fallback: [{ type: "containers-storage" }] } } }, {
    path: "sources.a.fallback.0.reference",
    expected: "a reference, as sources.a has none",
  }],
  [{ sources: { a: { ...web, platforms: [] } } }, {
    path: "sources.a.platforms",
    value: [],
    expected: "at least one platform",
  }],
  [{ sources: { a: { ...web, platforms: ["armhf"], platform: "armhf" } } }, {
    path: "sources.a.platforms",
    value: ["armhf"],
    expected: "no platform beside it, as that is of one platform",
  }],
  [{ sources: { a: { ...web, platforms: ["armhf"], id: DIGEST } } }, {
    path: "sources.a.platforms",
    value: ["armhf"],
    expected: "no id beside it, as that is of one platform",
  }],
  [{ sources: { a: { type: "dir", path: "" } } }, {
    path: "sources.a.path",
    value: "",
    expected: "a path that is not empty",
  }],
  // inputs
  [{ inputs: { i: { type: "images", images: 5 } } }, {
    path: "inputs.i.images",
    value: 5,
    expected: "names by source, or a list of { source, name? }",
  }],
  [{ sources: { a: web }, inputs: { i: { type: "images", images: { a: 5 } } } }, {
    path: "inputs.i.images.a",
    value: 5,
    expected: "string",
  }],
  [{ sources: { a: web }, inputs: { i: { type: "images", images: { a: ["x", "X"] } } } }, {
    path: "inputs.i.images.a.1",
    value: "X",
    expected: 'a lower-case name, "library/x"',
  }],
  [{ sources: { a: web }, inputs: { i: { type: "images", images: { a: [] } } } }, {
    path: "inputs.i.images.a",
    value: [],
    expected: "at least one name",
  }],
  [{ sources: { a: web }, inputs: { i: { type: "images", images: ["a"] } } }, {
    path: "inputs.i.images.0",
    value: "a",
    expected: "Object",
  }],
  [
    {
      sources: { a: web },
      inputs: { i: { type: "images", images: [{ source: "a", nam: "x" }] } },
    },
    {
      path: "inputs.i.images.0.nam",
      value: "x",
      expected: 'one of "source", "name" in place of this key',
      suggestion: "name",
    },
  ],
  [
    {
      sources: { a: { type: "dir", path: "x" } },
      inputs: { i: { type: "images", images: [{ source: "a" }] } },
    },
    {
      path: "inputs.i.images.0.source",
      expected: "a name as well, as sources.a has no reference",
    },
  ],
  [{ stages: { a: exec }, inputs: { i: { type: "output", stage: "a", name: "a/b" } } }, {
    path: "inputs.i.name",
    value: "a/b",
    expected: 'a name without "/"',
  }],
  // stages
  [{ stages: { s: { type: "copy-tree" } } }, { path: "stages.s.inputs", expected: "a value" }],
  [{ stages: { s: { ...exec, command: [""] } } }, {
    path: "stages.s.command",
    value: [""],
    expected: "a program whose name is not empty",
  }],
  [{ stages: { s: { ...exec, command: ["true", "a\0b"] } } }, {
    path: "stages.s.command.1",
    value: "a\0b",
    expected: "a text without NUL",
  }],
  [{ stages: { s: { ...exec, env: { "A=B": "x" } } } }, {
    path: "stages.s.env.A=B",
    value: "x",
    expected: "a name without an equals sign and NUL",
  }],
  [{ stages: { s: { ...exec, env: { A: "\0" } } } }, {
    path: "stages.s.env.A",
    value: "\0",
    expected: "a text without NUL",
  }],
  [{ stages: { s: { ...exec, command: [] } } }, {
    path: "stages.s.command",
    value: [],
    expected: "a program and its arguments",
  }],
  [{ stages: { s: { ...exec, env: ["A=b"] } } }, {
    path: "stages.s.env",
    value: ["A=b"],
    expected: LIST,
  }],
  [{ stages: { s: { ...exec, env: { prototype: "x" } } } }, {
    path: "stages.s.env.prototype",
    value: "x",
    expected: RESERVED,
  }],
  [{ stages: { s: { ...exec, env: { A: 1 } } } }, {
    path: "stages.s.env.A",
    value: 1,
    expected: "string",
  }],
  [{ ...given, stages: { s: { ...archive, path: "a" } } }, {
    path: "stages.s.path",
    value: "a",
    expected: 'an absolute path inside the tree, without ".."',
  }],
  [{ ...given, stages: { s: { ...archive, path: "/a/../b" } } }, {
    path: "stages.s.path",
    value: "/a/../b",
    expected: 'an absolute path inside the tree, without ".."',
  }],
  [{ ...given, stages: { s: { ...archive, compression: "gzip", level: 10 } } }, {
    path: "stages.s.level",
    value: 10,
    expected: "a level from 1 to 9, as gzip has no other",
  }],
  [{ ...given, stages: { s: { ...archive, compression: "zstd", level: 20 } } }, {
    path: "stages.s.level",
    value: 20,
    expected: "a whole number from 1 to 19",
  }],
  [{ ...given, stages: { s: { ...archive, level: 1.5 } } }, {
    path: "stages.s.level",
    value: 1.5,
    expected: "a whole number from 1 to 19",
  }],
  [{ stages: { s: { type: "install", inputs: [], destination: { type: "oci" } } } }, {
    path: "stages.s.destination.path",
    expected: "a value",
  }],
  [{
    ...given,
    stages: { s: { type: "oci-archive", inputs: ["t"], filename: "a", config: { cmd: [] } } },
  }, {
    path: "stages.s.config.cmd",
    value: [],
    expected:
      'one of "Cmd", "Entrypoint", "Env", "ExposedPorts", "User", "Labels", "StopSignal", "Volumes", "WorkingDir" in place of this key',
    suggestion: "Cmd",
  }],
  // names of nothing
  [{ sources: { proxy: web }, inputs: { i: { type: "images", images: { prxy: "x" } } } }, {
    path: "inputs.i.images.prxy",
    value: "prxy",
    expected: "the name of one of the sources",
    suggestion: "proxy",
  }],
  [{ inputs: { i: { type: "images", images: [{ source: "proxy" }] } } }, {
    path: "inputs.i.images.0.source",
    value: "proxy",
    expected: "the name of one of the sources",
  }],
  [{ stages: { os: exec }, inputs: { i: { type: "output", stage: "OS" } } }, {
    path: "inputs.i.stage",
    value: "OS",
    expected: "the name of one of the stages",
    suggestion: "os",
  }],
  [{
    inputs: { rootfs: { type: "tree", path: "x" } },
    stages: { s: { ...exec, inputs: ["root"] } },
  }, {
    path: "stages.s.inputs.0",
    value: "root",
    expected: "the name of one of the inputs",
    suggestion: "rootfs",
  }],
  [{ stages: { s: { ...exec, on: "toString" } } }, {
    path: "stages.s.on",
    value: "toString",
    expected: "the name of one of the stages",
  }],
  // circles
  [{ stages: { s: { ...exec, on: "s" } } }, {
    path: "stages.s",
    value: "stages.s → stages.s",
    expected: "parts that do not need each other in a circle",
  }],
  [
    {
      inputs: { i: { type: "output", stage: "b" } },
      stages: { top: { ...exec, on: "a" }, a: { ...exec, inputs: ["i"] }, b: { ...exec, on: "a" } },
    },
    {
      path: "inputs.i",
      value: "inputs.i → stages.b → stages.a → inputs.i",
      expected: "parts that do not need each other in a circle",
    },
  ],
];

describe("a config with a mistake", () => {
  for (const [config, issue] of MISTAKES) {
    it(`is told at "${issue.path}": ${issue.expected}`, () => {
      assertEquals(mistakesOf(config), [issue]);
    });
  }

  it("hides no other, also where a part of it cannot be read", () => {
    const destination = { type: "containers-storag" };
    const issues = mistakesOf({
      ...given,
      stages: {
        base: exec,
        bse2: { type: "install", inputs: ["I"], on: "bse", destination },
        other: { type: "instal", inputs: 1, on: "baze" },
      },
    });
    assertEquals(issues.map(({ path, suggestion }) => [path, suggestion]), [
      ["stages.bse2.destination.type", "containers-storage"],
      ["stages.other.type", "install"],
      ["stages.bse2.inputs.0", "i"],
      ["stages.bse2.on", "base"], // and not itself
      ["stages.other.on", "base"],
    ]);
  });

  it("may be JSON that would change the prototype", () => {
    assertEquals(
      mistakesOfJson('{"sources": {"__proto__": {"type": "dir", "path": "x"}}}'),
      [{ path: "sources.__proto__", value: { type: "dir", path: "x" }, expected: RESERVED }],
    );
  });
});
