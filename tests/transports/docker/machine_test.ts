import { assertEquals, assertMatch } from "@std/assert";
import { dirname } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { fixture } from "../../support/fixture.ts";
import { denoProgram, run } from "../../support/mod.ts";

const JOB = import.meta.resolve("./machine_job.ts");

const { dir } = await fixture();
let env: Record<string, string>;

beforeEach(() => {
  env = {
    HOME: dir.join("home"),
    XDG_RUNTIME_DIR: dir.join("run"),
    XDG_CONFIG_HOME: "",
    DOCKER_CONFIG: "",
    REGISTRY_AUTH_FILE: "",
    SSL_CERT_FILE: dir.join("bundle.pem"),
  };
});

async function write(name: string, data: unknown, mode = 0o600): Promise<void> {
  const path = dir.join(name);
  await Deno.mkdir(dirname(path), { recursive: true });
  const text = typeof data === "string" ? data : JSON.stringify(data);
  await Deno.writeTextFile(path, text, { mode });
}

/** What the machine knows of an image. */
async function ask(image = "a.io/team/app") {
  return JSON.parse(await run(...denoProgram(JOB, image), { env }));
}

const login = (user: string) => ({ auth: btoa(`${user}:pass:word`) });
const as = (user: string) => ({ user, password: "pass:word" });
const user = async (image?: string) => (await ask(image)).credentials?.user;

describe("credentials", () => {
  it("are nobody's where nothing is said", async () => {
    const { credentials, error } = await ask();
    assertEquals([credentials, error], [undefined, undefined]);
  });

  it("are those of the first file that has the registry", async () => {
    await write("home/.dockercfg", { "https://a.io/v1/": login("dockercfg") });
    assertEquals((await ask()).credentials, as("dockercfg"));
    await write("home/.docker/config.json", { auths: { "https://a.io": login("docker") } });
    assertEquals(await user(), "docker");
    await write("docker/config.json", { auths: { "a.io": login("docker-config") } });
    env["DOCKER_CONFIG"] = dir.join("docker");
    assertEquals(await user(), "docker-config");
    await write("home/.config/containers/auth.json", { auths: { "a.io": login("config") } });
    assertEquals(await user(), "config");
    await write("xdg/containers/auth.json", { auths: { "a.io": login("xdg") } });
    env["XDG_CONFIG_HOME"] = dir.join("xdg");
    assertEquals(await user(), "xdg");
    await write("run/containers/auth.json", {
      auths: { "b.io": login("b"), "a.io": {}, "c.io": null },
      credHelpers: { "c.io": null },
    });
    assertEquals(await user(), "xdg");
    await write("run/containers/auth.json", { auths: { "a.io": login("run") } });
    assertEquals(await user(), "run");
    await write("only.json", {});
    env["REGISTRY_AUTH_FILE"] = dir.join("only.json");
    assertEquals(await user(), undefined);
  });

  it("are those of the longest name", async () => {
    const names = ["a.io", "a.io/team", "a.io/team/app", "a.io/te", "docker.io"];
    const auths = Object.fromEntries(names.map((name) => [name, login(name)]));
    await write("run/containers/auth.json", { auths });
    assertEquals(await user("a.io/team/app"), "a.io/team/app");
    assertEquals(await user("a.io/team/other"), "a.io/team");
    assertEquals(await user("a.io/teams/app"), "a.io");
    assertEquals(await user("nginx"), "docker.io");
  });

  it("of Docker Hub may be under its old name", async () => {
    const auths = { "https://index.docker.io/v1/": login("hub") };
    await write("home/.docker/config.json", { auths });
    assertEquals(await user("nginx"), "hub");
  });

  it("are those of a helper, which may know identity tokens only", async () => {
    const helper = (answer: unknown) =>
      `#!/bin/sh\n[ "$1 $(cat)" = "get a.io" ] && echo '${JSON.stringify(answer)}'\n`;
    env["PATH"] = `${dir.join("bin")}:${Deno.env.get("PATH")}`;
    await write("run/containers/auth.json", { credHelpers: { "a.io": "one" } });
    await write("bin/docker-credential-one", helper({ Username: "h", Secret: "s" }), 0o755);
    assertEquals((await ask()).credentials, { user: "h", password: "s" });
    await write("bin/docker-credential-one", helper({ Username: "<token>", Secret: "t" }), 0o755);
    assertEquals((await ask()).credentials, { user: "", password: "", identityToken: "t" });
    const unknown = "#!/bin/sh\necho credentials not found in native keychain\nexit 1\n";
    await write("bin/docker-credential-one", unknown, 0o755);
    assertEquals((await ask()).credentials, undefined);
    await write("bin/docker-credential-two", helper({ Username: "two", Secret: "s" }), 0o755);
    const conf = 'credential-helpers = ["containers-auth.json", "two"]';
    await write("home/.config/containers/registries.conf", conf);
    assertEquals(await user(), "two");
    await write("bin/docker-credential-two", "#!/bin/sh\necho secret\nexit 3\n", 0o755);
    assertEquals((await ask()).error, 'Unserved"docker-credential-two" failed with 3');
    await Deno.remove(dir.join("bin/docker-credential-two"));
    assertMatch((await ask()).error, /^UnservedCannot run "docker-credential-two"/);
  });

  for (const text of ["", "{", "1", '{"auths":{"a.io":{"auth":"secret?"}}}']) {
    it(`of a file that is "${text}" are for skopeo to explain`, async () => {
      await write("run/containers/auth.json", text);
      const path = dir.join("run/containers/auth.json");
      assertEquals((await ask()).error, `Unservedcannot read the credentials in "${path}"`);
    });
  }
});

describe("registries.conf", () => {
  const registry = (location: string) => `[[registry]]\nprefix = "a.io"\nlocation = "${location}"`;

  it("of the user comes before the machine's, its drop-ins after it, in order", async () => {
    assertEquals((await ask()).domains, ["a.io"]);
    await write("home/.config/containers/registries.conf.d/9.conf", registry("nine.io"));
    assertEquals((await ask()).domains, ["nine.io"]);
    await write("home/.config/containers/registries.conf", registry("main.io"));
    assertEquals((await ask()).domains, ["nine.io"]);
    await write("home/.config/containers/registries.conf.d/8.conf", registry("eight.io"));
    await write("home/.config/containers/registries.conf.d/9.conf", 'credential-helpers = ["x"]');
    await write("home/.config/containers/registries.conf.d/notes.txt", "nothing");
    assertMatch((await ask()).error, /docker-credential-x/);
    await Deno.remove(dir.join("home/.config/containers/registries.conf.d/9.conf"));
    assertEquals((await ask()).domains, ["eight.io"]);
  });

  it("of the user counts for skopeo too, also where it is empty", async () => {
    const system = await Deno.readTextFile("/etc/containers/registries.conf").catch(() => "");
    assertEquals((await ask()).registriesConf, system);
    for (const text of [registry("main.io"), ""]) {
      await write("home/.config/containers/registries.conf", text);
      assertEquals((await ask()).registriesConf, text);
    }
  });
});

describe("certificates", () => {
  const folder = "home/.config/containers/certs.d/a.io:443";

  it("are the machine's, and those of the registry's folder", async () => {
    await write("bundle.pem", "BUNDLE");
    const { certDir, certificates } = await ask("a.io:443/app");
    assertEquals([certDir, certificates], [undefined, { caCerts: ["BUNDLE"], pairs: [] }]);
    await write(`${folder}/b.crt`, "B");
    await write(`${folder}/a.crt`, "A");
    await write(`${folder}/client.cert`, "CERT");
    await write(`${folder}/client.key`, "KEY");
    assertEquals((await ask("a.io:443/app")).certificates, {
      caCerts: ["BUNDLE", "A", "B"],
      pairs: [{ cert: "CERT", key: "KEY" }],
    });
    assertEquals((await ask("a.io/app")).certDir, undefined);
  });

  it("of this machine need their key", async () => {
    await write(`${folder}/client.cert`, "CERT");
    assertMatch((await ask("a.io:443/app")).error, /^Unserved.*client\.key/);
  });
});
