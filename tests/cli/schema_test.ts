import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Ajv, type ValidateFunction } from "ajv";
import {
  compile,
  type Config,
  containerLoader,
  containersStorage,
  copyTree,
  defineConfig,
  docker,
  exec,
  fromDir,
  images,
  insecureAcceptAnything,
  install,
  type Lock,
  ociArchive,
  output,
  reject,
  signedBy,
  sigstoreSigned,
  tree,
} from "@stowage/stowage";
import { schema as command } from "../../src/cli/commands/schema.ts";
import { fixture } from "../support/fixture.ts";
import { jsonLines, type Said, stowage } from "./cli.ts";

const { dir } = await fixture();
const DIGEST = `sha256:${"a".repeat(64)}`;

async function schema(...args: string[]): Promise<Said> {
  return await stowage(["schema", ...args], { cwd: dir.path });
}

async function validator(name: string): Promise<ValidateFunction> {
  const { code, stdout, stderr } = await schema(name);
  assertEquals([code, stderr], [0, ""]);
  return new Ajv({ strict: true, allowUnionTypes: true }).compile(JSON.parse(stdout));
}

const config: Config = defineConfig({
  $schema: "config.schema.json",
  platform: "linux/arm64",
  digests: "require",
  policy: {
    default: reject(),
    docker: {
      "quay.io": signedBy("key.gpg"),
      "ghcr.io": sigstoreSigned({ keyDatas: ["QQ=="] }, { rekorPublicKeyPath: "rekor.pub" }),
      "": insecureAcceptAnything(),
    },
  },
  registriesD: "registries.d",
  mirrors: { "docker.io": ["mirror.acme.io", { location: "m.acme.io/hub", tlsVerify: false }] },
  registries: { "localhost:5000/acme": { tlsVerify: false, authFile: "a.json", certDir: "c" } },
  sources: {
    web: docker("nginx:1", {
      digest: DIGEST,
      platforms: ["linux/arm64", "armhf"],
      index: true,
      tlsVerify: false,
      authFile: "auth.json",
      certDir: "certs",
      fallback: [containersStorage({ location: "/srv", driver: "vfs" }), fromDir("web")],
    }),
    own: containersStorage("own", { id: DIGEST, platform: "linux/s390x" }),
  },
  inputs: {
    apps: images({ web: ["localhost/web:1", "localhost/web:2"] }),
    list: images([{ source: "own", name: "localhost/own:1" }, { source: "own" }]),
    rootfs: tree("rootfs"),
    app: output("app", { name: "app.tar" }),
  },
  stages: {
    app: ociArchive({ inputs: ["rootfs"], filename: "app.tar", compression: "zstd", level: 9 }),
    os: install({ inputs: ["apps", "app"], destination: { type: "containers-storage" } }),
    tree: copyTree({ inputs: ["rootfs"], on: "os", to: "/usr" }),
    boot: containerLoader({ inputs: ["list"], engine: "podman" }),
    run: exec({ command: ["true"], env: { A: "b" }, network: true }),
  },
});

/** What is wrong, and passes neither the schema nor stowage itself. */
const WRONG: Readonly<Record<string, unknown>> = {
  "a section": { source: {} },
  "a policy": { digests: "must" },
  "a registry": { registries: { "https://a.io": { tlsVerify: false } } },
  "an option of a registry": { registries: { "a.io": { insecure: true } } },
  "a name": { sources: { "a b": docker("web") } },
  "a kind": { sources: { web: { type: "dokcer", reference: "web" } } },
  "a key": { sources: { web: { ...docker("web"), tag: "1" } } },
  "a digest": { sources: { web: docker("web", { digest: "sha256:abc" }) } },
  "platforms": { sources: { web: docker("web", { platforms: [] }) } },
  "a pin on a fallback": {
    sources: { web: docker("web", { fallback: [docker("b", { id: DIGEST })] }) },
  },
  "a requirement": { policy: { default: { type: "signedBy" } } },
  "two kinds of keys": { policy: { default: { type: "signedBy", keyPath: "a", keyData: "QQ==" } } },
  "a level": { inputs: {}, stages: { a: { type: "docker-archive", inputs: [], level: 20 } } },
};

describe("schema", () => {
  it("is of a config, and takes what stowage takes", async () => {
    const validate = await validator("config");
    const text = await Deno.readTextFile("examples/json/images.config.json");
    for (const right of [{}, config, JSON.parse(text)]) {
      const data: unknown = JSON.parse(JSON.stringify(right));
      assert(validate(data), JSON.stringify(validate.errors));
      assertEquals([...compile(data as Config).nodes], [...compile(right as Config).nodes]);
    }
    for (const [what, wrong] of Object.entries(WRONG)) {
      assert(!validate(JSON.parse(JSON.stringify(wrong))), what);
    }
    assertEquals(await schema(), await schema("config"));
  });

  it("is of a lock", async () => {
    const validate = await validator("lock");
    const image = { digest: DIGEST, id: DIGEST, mediaType: "m", size: 1 };
    const index = { digest: DIGEST, mediaType: "i", size: 1 };
    const web = {
      reference: "docker://web",
      tag: "1",
      index,
      platforms: { "linux/arm/v7": image },
    };
    const lock: Lock = { $schema: "lock.schema.json", schema: 1, sources: { web } };
    assert(validate(lock), JSON.stringify(validate.errors));
    for (
      const wrong of [
        { ...lock, schema: 2 },
        { ...lock, more: 1 },
        { schema: 1 },
        { schema: 1, sources: { web: { ...web, digest: DIGEST } } },
        { schema: 1, sources: { web: { ...web, platforms: { amd64: image } } } },
        { schema: 1, sources: { web: { ...web, index: { ...index, digest: "sha256:abc" } } } },
        {
          schema: 1,
          sources: { web: { ...web, platforms: { "linux/386": { ...image, size: -1 } } } },
        },
      ]
    ) assert(!validate(wrong), JSON.stringify(wrong));
  });

  it("is printed for programs too, and of nothing else", async () => {
    const [line] = jsonLines((await schema("lock", "--json")).stdout);
    assertEquals([line?.["type"], Object(line?.["schema"])], [
      "result",
      JSON.parse((await schema("lock")).stdout),
    ]);
    const { code, stdout, stderr } = await schema("locks");
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /expected one of "config", "lock", "report"/);
  });

  assert(Array.isArray(command.completes));
  for (const name of command.completes) {
    it(`says what each property of the ${name} is for`, async () => {
      const silent: string[] = [];
      let count = 0;
      JSON.parse((await schema(name)).stdout, function (key, value) {
        if (key === "properties" && typeof value === "object") {
          const properties: [string, { description?: string }][] = Object.entries(value);
          count += properties.length;
          silent.push(
            ...properties.flatMap(([name, { description }]) => description ? [] : [name]),
          );
        }
        return value;
      });
      assert(count > 10);
      assertEquals(silent, []);
    });
  }
});
