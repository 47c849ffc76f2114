import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { dirname } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { importConfig, ImportError, type ImportOptions, type Source } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";

const { dir } = await fixture();
const DIGEST = `sha256:${"4".repeat(64)}`;

/** What an import gives: its sources, and where it left something out. */
async function imported(
  kind: string,
  files: Readonly<Record<string, string>>,
  options: ImportOptions & { readonly paths?: readonly string[] } = {},
): Promise<{ readonly sources: Record<string, string>; readonly left: readonly string[] }> {
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(dir.join(path)), { recursive: true });
    await Deno.writeTextFile(dir.join(path), text);
  }
  const { paths = Object.keys(files), ...rest } = options;
  const { config, left } = await importConfig(kind, paths.map((path) => dir.join(path)), rest);
  const say = ({ type: _, ...source }: Source) => {
    const { reference, ...options } = { reference: "", ...source };
    return Object.keys(options).length > 0 ? `${reference} ${JSON.stringify(options)}` : reference;
  };
  return {
    sources: Object.fromEntries(
      Object.entries(config.sources ?? {}).map(([name, source]) => [name, say(source)]),
    ),
    left: left.map(({ path, why }) => `${path.replace(`${dir.path}/`, "")}: ${why}`),
  };
}

describe("import list", () => {
  it("reads a reference a line, each image once", async () => {
    const text = `# base images
nginx:1.27

docker.io/library/nginx:1.27   # the same
docker://quay.io/acme/app@${DIGEST}
quay.io/acme/app:2
ghcr.io/other/app
Bad/Name
one two
`;
    assertEquals(await imported("list", { "images.txt": text }), {
      sources: {
        nginx: "nginx:1.27",
        app: `docker://quay.io/acme/app@${DIGEST}`,
        "app-2": "quay.io/acme/app:2",
        "other-app": "ghcr.io/other/app",
      },
      left: [
        'images.txt:8: it is no reference: expected a lower-case name, "name"',
        "images.txt:9: it is more than one reference",
      ],
    });
  });

  it("reads what skopeo sync reads", async () => {
    const text = `
registry.acme.io:
  tls-verify: false
  cert-dir: /certs
  images:
    edge/agent: [1.10, "${DIGEST}"]
    all: []
  images-by-tag-regex:
    busybox: ^1
    whole: ^1\\.2$
    odd: (?i)x
  images-by-semver: { versions: ">= 1.2, < 3" }
  other: 1
  credentials: { username: u, password: secret }
quay.io: { images: { coreos/etcd: [latest] } }
`;
    const found = await imported("list", { "sync.yaml": text });
    const options = JSON.stringify({ tlsVerify: false, certDir: "/certs" });
    assertEquals(found, {
      sources: {
        agent: `registry.acme.io/edge/agent:1.10 ${options}`,
        "agent-444444444444": `registry.acme.io/edge/agent@${DIGEST} ${options}`,
        ...Object.fromEntries(
          [
            ["busybox", { regex: ".*(?:^1).*" }],
            ["whole", { regex: "1\\.2" }],
            ["versions", { semver: ">=1.2  <3" }],
            ["all", { regex: ".*" }],
          ].map(([name, tags]) => [
            name,
            `registry.acme.io/${name} ${JSON.stringify({ tags, ...JSON.parse(options) })}`,
          ]),
        ),
        etcd: "quay.io/coreos/etcd:latest",
      },
      left: [
        "sync.yaml: registry.acme.io.credentials: a config has none; log in with skopeo login, or name a file with authFile",
        "sync.yaml: registry.acme.io.images-by-tag-regex.odd: a config has no such rule for tags",
        "sync.yaml: registry.acme.io.other: a config has no words for it",
      ],
    });
  });

  it("reads hauler and zarf lists", async () => {
    const hauler = `
apiVersion: content.hauler.cattle.io/v1
kind: Images
metadata:
  annotations: { hauler.dev/registry: r.io, hauler.dev/platform: linux/arm64, hauler.dev/key: k }
spec:
  images:
    - name: acme/app:1
    - { name: "r.io/b:2", platform: linux/amd64, key: k.pub }
---
apiVersion: content.hauler.cattle.io/v1
kind: Charts
spec: { charts: [{ name: c }] }
`;
    const zarf = `
kind: ZarfPackageConfig
metadata: { architecture: amd64 }
components:
  - { name: a, images: ["ghcr.io/x/y:1.10", "###ZARF_PKG_TMPL_X###"] }
  - { name: b, charts: [{ name: c }], import: { path: ../b }, imageArchives: [{ path: a.tar }] }
  - { name: c, images: [z], only: { cluster: { architecture: arm64 } } }
`;
    assertEquals(await imported("list", { "h.yaml": hauler, "z.yaml": zarf }), {
      sources: {
        app: 'r.io/acme/app:1 {"platform":"linux/arm64"}',
        b: 'r.io/b:2 {"platform":"linux/amd64"}',
        y: 'ghcr.io/x/y:1.10 {"platform":"linux/amd64"}',
        z: 'z {"platform":"linux/arm64"}',
      },
      left: [
        'h.yaml: metadata.annotations["hauler.dev/key"]: the config says such things in other words',
        "h.yaml: spec.images[1].key: the config says such things in other words",
        "h.yaml: spec.charts: stowage has no words for what is no image",
        "z.yaml: components[0].images[1]: it is no reference: expected [host[:port]/]path[:tag]",
        "z.yaml: components[1].import: import the file that it names as well",
        "z.yaml: components[1].charts: stowage fetches the images that a component lists, and nothing else of it",
        "z.yaml: components[1].imageArchives: stowage fetches the images that a component lists, and nothing else of it",
      ],
    });
  });
});

describe("import compose", () => {
  it("reads the images of services, with defaults, anchors and platforms", async () => {
    const text = `
x-base: &base { image: "redis:\${REDIS:-7.2}" }
services:
  cache: { <<: *base }
  again: { image: docker.io/library/redis:7.2 }
  web: { image: "nginx:1.10", platform: linux/arm64, ports: ["80:80"] }
  own: { build: . }
  secret: { image: "\${REGISTRY}/app:1" }
  arm: { extends: { service: web }, image: !override "alpine:\${A:-\${B:-3}}" }
  far: { extends: { file: base.yaml, service: web } }
  made: { image: made, build: ., pull_policy: build }
  data: { extends: cache, volumes: [{ type: image, source: "quay.io/data:1" }] }
  llm: { provider: { type: model } }
models: { llm: { model: ai/smollm2 } }
`;
    assertEquals(await imported("compose", { "compose.yaml": text }), {
      sources: {
        redis: "redis:7.2",
        nginx: 'nginx:1.10 {"platform":"linux/arm64"}',
        alpine: 'alpine:3 {"platform":"linux/arm64"}',
        data: "quay.io/data:1",
      },
      left: [
        "compose.yaml: models.llm: it is no image",
        "compose.yaml: services.own: it is built, and stowage builds images of trees only",
        "compose.yaml: services.secret.image: the file does not say what REGISTRY is",
        'compose.yaml: services.far: it extends one of "base.yaml": import that file as well',
        "compose.yaml: services.made: it is built, and stowage builds images of trees only",
        "compose.yaml: services.llm: a provider runs it, without an image",
      ],
    });
  });

  it("says which default it has taken, and what compose may build", async () => {
    const file = dir.join("defaults.yaml");
    await Deno.writeTextFile(
      file,
      'services: { a: { image: "nginx:${TAG:-1}" }, b: { image: b, build: . } }',
    );
    const { text } = await importConfig("compose", [file]);
    assertStringIncludes(text, '// The default of "nginx:${TAG:-1}": see what the environment');
    assertStringIncludes(text, "// Compose builds it where no registry has it");
  });
});

describe("import kubernetes", () => {
  it("reads the images of all containers, wherever pods are", async () => {
    const text = `
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      initContainers: [{ name: i, image: "busybox:1.10" }]
      containers: [{ name: c, image: nginx }, { name: d, image: "nginx:latest" }]
      volumes: [{ name: v, image: { reference: "quay.io/data:1" } }]
---
kind: List
items:
  - kind: CronJob
    spec: { jobTemplate: { spec: { template: { spec: { containers: [{ image: job }] } } } } }
  - kind: ConfigMap
    data: { image: "no/image" }
---
kind: ClusterServiceVersion
spec:
  relatedImages: [{ name: a, image: "quay.io/related:1" }]
  deployment: { containers: [{ image: op, env: [{ name: RELATED_IMAGE_X, value: operand }] }] }
---
kind: Prometheus
spec: { image: "prom:2", values: { image: { repository: r.io/app, tag: "1.10" } } }
---
kind: Pod
spec: { containers: [{ name: a, image: {{ .Values.image }} }] }
`;
    const pod = JSON.stringify({ kind: "Pod", spec: { containers: [{ image: "UP" }] } });
    assertEquals(
      await imported("kubernetes", { "k/a.yaml": text, "k/b.json": pod }, { paths: ["k"] }),
      {
        sources: {
          ...{ busybox: "busybox:1.10", nginx: "nginx", data: "quay.io/data:1", job: "job" },
          ...{ related: "quay.io/related:1", op: "op", operand: "operand" },
        },
        left: [
          "k/a.yaml: Prometheus.spec.image: it is of no container: add it where it is an image (`stowage add`)",
          "k/a.yaml: Prometheus.spec.values.image: it is of no container: add it where it is an image (`stowage add`)",
          "k/a.yaml: Pod.spec.containers[0]: it names no image that can be read",
          'k/b.json: Pod.spec.containers[0].image: it is no reference: expected a lower-case name, "library/up"',
        ],
      },
    );
  });

  it("says of a template that it has to be rendered", async () => {
    const read = () => imported("kubernetes", { "t.yaml": "{{- if .Values.x }}\na: b" });
    assertStringIncludes((await assertRejects(read, ImportError)).hint ?? "", "helm template");
  });
});

describe("import quadlet", () => {
  it("reads containers, image units and drop-ins", async () => {
    const files = {
      "q/web.container": "[Unit]\nImage=no\n[Container]\n# Image=no\nImage=nginx:1\n",
      "q/app.container": "[Container]\nImage=app.image\n",
      "q/app.image":
        "[Image]\nImage=r.io/app:1\nTLSVerify=false\nArch=arm64\nAuthFile=/etc/auth.json\n",
      "q/sub/db.container": "[Container]\nImage=postgres:15\n",
      "q/sub/db.container.d/10.conf": "[Container]\nImage=postgres:16\n",
      "q/data.volume": "[Volume]\nDriver=local\n",
      "q/x.kube": "[Kube]\nYaml=x.yaml\n",
      "q/i.container": "[Container]\nImage=%i\n",
      "q/web.network": "[Network]\n",
      "q/m.container":
        "[Container]\nRootfs=/x\nMount=type=image,source=mounted:1,destination=/m\nMount=type=bind,src=/a\n",
      "q/a-b.container": "[Container]\nImage=a:1\n",
      "q/a-.container.d/1.conf": "[Container]\nImage=a:2\n",
      "q/t@.container": "[Container]\nImage=t:1\n",
      "q/t@x.container": "[Container]\nImage=t:1\n",
      "q/t@.container.d/1.conf": "[Container]\nImage=\\\n# of a release\nt:2\n",
      "q/art.artifact": "[Artifact]\nArtifact=r.io/art:1\n",
      "q/z.image": "[Image]\nImage=z\nAllTags=true\n",
    };
    assertEquals(await imported("quadlet", files, { paths: ["q"] }), {
      sources: {
        app: 'r.io/app:1 {"platform":"linux/arm64","tlsVerify":false,"authFile":"/etc/auth.json"}',
        ...{ a: "a:2", t: "t:2", mounted: "mounted:1", z: "z" },
        postgres: "postgres:16",
        nginx: "nginx:1",
      },
      left: [
        "q/art.artifact: it is no image: `artifact()` fetches such things",
        "q/i.container:2: systemd alone knows what % stands for in it",
        "q/x.kube: it plays a Kubernetes file: import that with `stowage import kubernetes`",
        "q/z.image:3: no option of a source says it",
      ],
    });
  });
});

describe("import quadlet of a tree", () => {
  it("reads what podman and bootc read there, and follows links in the tree", async () => {
    const vendor = "tree/usr/share/containers/systemd";
    const image = (name: string) => `[Container]\nImage=${name}\n`;
    await Deno.mkdir(dir.join("tree/usr/lib/bootc/bound-images.d"), { recursive: true });
    await Deno.mkdir(dir.join("tree/etc/containers/systemd"), { recursive: true });
    const links = {
      "tree/usr/lib/bootc/bound-images.d/web.container":
        "/usr/share/containers/systemd/web.container",
      "tree/usr/lib/bootc/bound-images.d/bound.image": "../../../../opt/some.image",
      "tree/usr/lib/bootc/bound-images.d/db.container": `/${vendor.slice(5)}/db.container`,
      "tree/usr/lib/bootc/bound-images.d/up": "..",
      "tree/etc/containers/systemd/off.container": "/dev/null",
    };
    for (const [link, target] of Object.entries(links)) await Deno.symlink(target, dir.join(link));
    const files = {
      [`${vendor}/web.container`]: image("nginx:1"),
      [`${vendor}/off.container`]: image("off:1"),
      [`${vendor}/db.container`]: image("postgres:15"),
      [`${vendor}/odd.container`]: image("%i"),
      [`${vendor}/app.container`]: image("app:1"),
      "tree/etc/containers/systemd/app.container.d/1.conf": image("app:2"),
      "tree/etc/containers/systemd/db.container": image("postgres:16"),
      "tree/opt/some.image": "[Image]\nImage=r.io/bound:1\n",
      "tree/opt/not.container": image("not:1"),
    };
    assertEquals(await imported("quadlet", files, { paths: ["tree"] }), {
      sources: {
        postgres: "postgres:16",
        app: "app:2",
        nginx: "nginx:1",
        bound: "r.io/bound:1",
        "postgres-15": "postgres:15",
      },
      left: [`${vendor}/odd.container:2: systemd alone knows what % stands for in it`],
    });
  });

  it("says which link leads to nothing there, whatever this machine has", async () => {
    const folder = dir.join("tree/usr/lib/bootc/bound-images.d");
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(dir.join("out.image"), "[Image]\nImage=a\n");
    await Deno.symlink(dir.join("out.image"), `${folder}/a.image`);
    const { message } = await assertRejects(
      () => importConfig("quadlet", [dir.join("tree")]),
      ImportError,
    );
    assertStringIncludes(message, `Cannot read "${folder}/a.image": No such file`);
  });
});

describe("import isar", () => {
  it("reads the URLs of a recipe, its variables, and its loader", async () => {
    const recipe = `
require recipes-support/container-loader/docker-loader.inc
# SRC_URI += "docker://no/image"
TAG = "\${PV}"
CONTAINER_DELETE_AFTER_LOAD = "1"
SRC_URI += "\\
    docker://quay.io/libpod/alpine;digest=${DIGEST};tag=\${TAG};name=alpine \\
    docker://r.io/b;tag=\${UNKNOWN} \\
    file://x"
`;
    await Deno.writeTextFile(dir.join("apps_3.10.bb"), recipe);
    const { config, left } = await importConfig("isar", [dir.join("apps_3.10.bb")], {
      platform: "armhf",
    });
    assertEquals(config, {
      platform: "linux/arm/v7",
      sources: {
        alpine: {
          type: "docker",
          reference: `docker://quay.io/libpod/alpine;digest=${DIGEST};tag=3.10;name=alpine`,
        },
      },
      inputs: { containers: { type: "images", images: { alpine: "quay.io/libpod/alpine:3.10" } } },
      stages: {
        apps: {
          ...{ type: "container-loader", inputs: ["containers"] },
          ...{ engine: "docker", deleteAfterLoad: true },
        },
      },
    });
    assertEquals(left.map(({ path, why }) => [path, why]), [
      [`${dir.join("apps_3.10.bb")}:8`, "the recipe does not say what UNKNOWN is"],
    ]);
    const architecture = async (name: string) => {
      await Deno.writeTextFile(dir.join("a.inc"), `DISTRO_ARCH ?= "${name}"\n`);
      const files = [dir.join("a.inc"), dir.join("apps_3.10.bb")];
      return (await importConfig("isar", files)).config.platform;
    };
    assertEquals(await architecture("mipsel"), "linux/mipsle");
    assertEquals(await architecture("${MACHINE}"), undefined);
    assertEquals((await imported("isar", { list: "docker://nginx;tag=1\n" })).sources, {
      nginx: "docker://nginx;tag=1",
    });
  });
});

describe("import isar, of what bitbake adds", () => {
  it("knows what is added in the recipe, and takes nothing that it cannot know", async () => {
    const recipe = `
WEAK ??= "0"
WEAK ?= "1"
export NAME = "n"
NAME:append = "-a"
NAME .= "b"
OLD = "o"
OLD_prepend = "x"
MACHINE_TAG = "1"
MACHINE_TAG:qemuarm = "2"
CALLED = "\${@d.getVar('X')}"
SRC_URI = "docker://r.io/\${NAME};tag=\${WEAK} docker://r.io/\${OLD};tag=1"
SRC_URI:append:arm64 = " docker://r.io/arm;tag=1"
SRC_URI += "docker://r.io/m;tag=\${MACHINE_TAG}"
SRC_URI += "docker://r.io/c;tag=\${CALLED}"
SRC_URI:remove = "\\
    docker://r.io/gone;tag=1"
`;
    const { sources, left } = await imported("isar", { "b_1.bb": recipe });
    assertEquals(sources, {
      "nb-a": "docker://r.io/nb-a;tag=1",
      xo: "docker://r.io/xo;tag=1",
      arm: "docker://r.io/arm;tag=1",
    });
    assertEquals(left, [
      "b_1.bb:14: the recipe does not say what MACHINE_TAG is",
      "b_1.bb:15: the recipe does not say what @d.getVar('X') is",
      "b_1.bb:17: it is taken away there: take it out of the config too",
    ]);
    const { text } = await importConfig("isar", [dir.join("b_1.bb")]);
    assertStringIncludes(text, "// With arm64 only");
  });
});

describe("an import", () => {
  it("says so where there is no image, no file, or no text", async () => {
    const none = await assertRejects(() => imported("compose", { "c.yaml": "a: b" }), ImportError);
    assertEquals(none.message, `Cannot find any image in ${dir.join("c.yaml")}`);
    const folder = () => importConfig("list", [dir.path]);
    assertStringIncludes((await assertRejects(folder, ImportError)).message, "it is a folder");
    const gone = () => importConfig("list", [dir.join("gone")]);
    assertStringIncludes((await assertRejects(gone, ImportError)).message, "No such file");
    await Deno.writeFile(dir.join("z"), new Uint8Array([0x1f, 0x8b, 8, 0xff]));
    const packed = () => importConfig("osbuild", [dir.join("z")]);
    assertStringIncludes((await assertRejects(packed, ImportError)).message, "it is compressed");
  });
});
