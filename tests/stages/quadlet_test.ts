import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { compile, type Config, ConfigError, exec, quadlet, StageError } from "@stowage/stowage";
import type { QuadletOptions, QuadletUnit } from "@stowage/stowage";
import { listTree, mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";

const { dir, at } = await fixture();

function config(options: QuadletOptions, script = "true"): Config {
  const base = exec({ command: ["sh", "-euc", script] });
  return { stages: { base, os: quadlet({ on: "base", ...options }) } };
}

/** The texts of all files that a stage writes. */
async function filesOf(given: Config): Promise<Record<string, string>> {
  const tree = treeOf(await mustBuild(given, at), "os");
  const files: Record<string, string> = {};
  for (const path of await listTree(tree)) {
    const { isFile, mode, mtime } = await Deno.lstat(join(tree, path));
    assertEquals([(mode ?? 0) & 0o777, mtime?.getTime()], [isFile ? 0o644 : 0o755, 0], path);
    if (isFile) files[path] = await Deno.readTextFile(join(tree, path));
  }
  return files;
}

/** What is wrong with a unit, as paths in it and what is expected there. */
function mistakes(units: unknown, to?: string): string[] {
  const os = { type: "quadlet", units, ...(to !== undefined && { to }) };
  const error = assertThrows(() => compile(JSON.parse(JSON.stringify({ stages: { os } }))));
  if (!(error instanceof ConfigError)) throw error;
  return error.issues.map(({ path, expected }) => `${path.replace("stages.os.", "")}: ${expected}`);
}

const app = (unit: QuadletUnit = {}) => ({
  "app.container": { Container: { Image: "a" }, ...unit },
});

describe("quadlet()", () => {
  it("writes units, each value once and in its line", async () => {
    const files = await filesOf(config({
      units: {
        "app.container": {
          Install: { WantedBy: ["multi-user.target", "local-fs.target"] },
          Service: { Restart: "always", Environment: { PRICE: "5$", A: "50% \\" }, TimeoutSec: 90 },
          Container: {
            Image: "localhost/app:1",
            Exec: 'sh -c "echo $${HOME} %H"',
            ReadOnly: true,
            StopTimeout: 5,
            PublishPort: ["80:80", 443],
            Environment: { QUOTE: 'say "hi"', LINES: "a\nb\tc", RATE: "50% of $X \\" },
            Label: "plain=%n",
          },
          Unit: { Description: "The app", DefaultDependencies: false },
        },
        "net.network": { Network: {} },
        "data@.volume": { Volume: { Label: { "io.acme/a": "ü" } }, Quadlet: {} },
      },
    }));
    assertEquals(files, {
      "usr/share/containers/systemd/app.container": `[Unit]
DefaultDependencies=false
Description=The app

[Container]
Environment="LINES=a\\nb\\tc"
Environment="QUOTE=say \\"hi\\""
Environment="RATE=50%% of $$X \\\\"
Exec=sh -c "echo $\${HOME} %H"
Image=localhost/app:1
Label=plain=%n
PublishPort=80:80
PublishPort=443
ReadOnly=true
StopTimeout=5

[Service]
Environment="A=50%% \\\\"
Environment="PRICE=5$"
Restart=always
TimeoutSec=90

[Install]
WantedBy=multi-user.target
WantedBy=local-fs.target
`,
      "usr/share/containers/systemd/data@.volume": `[Volume]\nLabel="io.acme/a=ü"\n\n[Quadlet]\n`,
      "usr/share/containers/systemd/net.network": "[Network]\n",
    });
  });

  it("refuses values that do not stay where they are, and keys that podman has not", () => {
    const line = "one line, without white space at its ends and without a backslash behind it";
    for (
      const Exec of ["a\nUser=root", "a\r", "a\\", " a", "a ", "", "a\u2028b", "a\0", "\ud800"]
    ) {
      const units = app({ Container: { Image: "a", Exec } });
      assertEquals(mistakes(units), [`units.app.container.Container.Exec: ${line}`], Exec);
    }
    const told = (unit: object) =>
      mistakes({ "a.container": unit }).map((text) => text.replace("units.a.container", ""));
    const Image = "a";
    assertEquals(told({ Container: { Image, DNS: ["a", "b\n"] } }), [`.Container.DNS.1: ${line}`]);
    assertEquals(told({ Container: { Image, DNS: [] } }), [".Container.DNS: at least one value"]);
    assertEquals(told({ Container: { Image, Creds: "a:b" } }), [
      ".Container.Creds: a key that podman-systemd.unit(5) has for [Container] in place of this key",
    ]);
    assertStringIncludes(
      told({ Container: { Image, Label: { "a b": "c" } } }).join(),
      "a name without white space",
    );
    assertStringIncludes(
      told({ Container: { Image, Label: { a: "\x1b" } } }).join(),
      "a text without control characters",
    );
    assertStringIncludes(told({ Container: { Image, ReadOnly: "yes" } }).join(), "boolean");
    assertStringIncludes(
      told({ Container: { Image }, Unit: { "A=b\n[Service]": "c" } }).join(),
      "a key as systemd has them",
    );
    assertEquals(told({ Container: { Image }, Unit: { After: "a\nb" } }), [`.Unit.After: ${line}`]);
  });

  it("refuses what podman would refuse at boot", () => {
    const own = (name: string, unit: object) =>
      mistakes({ [name]: unit }).map((text) => text.replace(`units.${name}`, ""));
    assertEquals(own("a.container", { Unit: {} }), [': [Container] in "a.container"']);
    assertEquals(own("a.container", { Container: {} }), [".Container: Image or Rootfs"]);
    assertEquals(own("a.container", { Container: { Image: "a", Rootfs: "/a" } }), [
      ".Container: Image or Rootfs",
    ]);
    assertEquals(own("a.volume", { Volume: { Driver: "image" } }), [
      ".Volume: Image as well, as its driver is image",
    ]);
    assertEquals(own("a.network", { Network: {}, Volume: {} }), [
      '.Volume: [Network] alone of podman\'s sections in "a.network"',
    ]);
    assertEquals(own("a.image", { Image: {} }), [".Image: Image"]);
    assertEquals(own("a.kube", { Kube: {} }), [".Kube: Yaml"]);
    assertEquals(own("a.artifact", { Artifact: {} }), [".Artifact: Artifact"]);
    assertEquals(own("a.build", { Build: { File: "/a" } }), [".Build: ImageTag"]);
    assertEquals(own("a.build", { Build: { ImageTag: "a" } }), [
      ".Build: File or SetWorkingDirectory",
    ]);
    assertStringIncludes(
      own("a.container", { Container: { Image: "a" }, Service: { User: "a" } }).join(),
      ".Service.User: no such key",
    );
    for (
      const name of ["a.service", "../a.container", "a/b.container", ".container", "a b.volume"]
    ) {
      assertEquals(mistakes({ [name]: {} }).length > 0, true, name);
    }
    assertStringIncludes(
      mistakes(app(), "/opt").join(),
      "/etc/containers/systemd, or a folder in it",
    );
  });

  it("leaves a file that says the same, and refuses one that does not", async () => {
    const folder = "etc/containers/systemd";
    const make = (text: string) =>
      `mkdir -p ${folder} && printf '${text}' >${folder}/app.container && find . -exec touch -d @0 {} +`;
    const to = `/${folder}`;
    const same = make("[Container]\\nImage=a\\n");
    const path = `${folder}/app.container`;
    const { [path]: text } = await filesOf(config({ units: app(), to }, same));
    assertEquals(text, "[Container]\nImage=a\n");
    const other = config({ units: app(), to }, make("[Container]\\nImage=b\\n"));
    const { error } = await mustFail(StageError, "stage/os", other, at);
    assertStringIncludes(error.message, `the tree has another /${path}`);
  });

  it("tells of a unit that hides its own", async () => {
    const hiding = "mkdir -p etc/containers/systemd && echo >etc/containers/systemd/app.container";
    const { events } = await mustBuild(config({ units: app() }, hiding), at);
    assertEquals(events.flatMap((event) => event.type === "notice" ? [event.message] : []), [
      `"os": podman reads the tree's /etc/containers/systemd/app.container in place of ` +
      "/usr/share/containers/systemd/app.container",
    ]);
  });

  it("links the images that bootc binds", async () => {
    const units = {
      "app.container": { Container: { Image: "localhost/app:1" } },
      "raw.container": { Container: { Image: "%i.image" } },
      "net.network": { Network: {} },
    };
    const to = "/etc/containers/systemd";
    const bind = (...bound: string[]): Config => ({
      stages: { os: quadlet({ units, to, bound }) },
    });
    const tree = treeOf(await mustBuild(bind("app.container"), at), "os");
    const link = join(tree, "usr/lib/bootc/bound-images.d/app.container");
    assertEquals(await Deno.readLink(link), `${to}/app.container`);
    assertEquals((await Deno.lstat(link)).mtime, new Date(0));
    const { issues } = assertThrows(
      () => compile(bind("net.network", "none.image", "raw.container")),
      ConfigError,
    );
    assertEquals(issues.map(({ path, value }) => `${path} ${value}`), [
      "stages.os.bound.0 net.network",
      "stages.os.bound.1 none.image",
      "stages.os.bound.2 %i.image",
    ]);
  });

  it("stays in the tree", async () => {
    await Deno.mkdir(dir.join("outside"));
    const link = `mkdir -p usr/share/containers && ln -s '${
      dir.join("outside")
    }' usr/share/containers/systemd`;
    await mustBuild(config({ units: app() }, link), at);
    assertEquals(await Array.fromAsync(Deno.readDir(dir.join("outside"))), []);
  });
});
