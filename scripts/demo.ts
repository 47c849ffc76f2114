// deno-lint-ignore-file no-console
/** The steps of `demo.sh`; takes the folder for all that it writes. */

import { bold, cyan, dim, green, red, setColorEnabled } from "@std/fmt/colors";
import { fromFileUrl, join } from "@std/path";
import {
  busyboxLayer,
  nginxLikeLayer,
  pushImage,
  pushIndex,
  randomLayer,
  startRegistry,
} from "../tests/support/mod.ts";

const [scratch = ""] = Deno.args;
const root = fromFileUrl(new URL("..", import.meta.url));
if (!Deno.stdout.isTerminal()) setColorEnabled(false);

const registry = await startRegistry();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => void stop(130));
}

async function stop(code: number): Promise<never> {
  await registry[Symbol.asyncDispose]();
  Deno.exit(code);
}

const base = await busyboxLayer();
const site = [base, await nginxLikeLayer()];
const amd = await pushImage(registry, "library/nginx", { layers: site, platform: "linux/amd64" });
const arm = await pushImage(registry, "library/nginx", { layers: site, platform: "linux/arm64" });
await pushIndex(registry, "library/nginx:1.27", [amd, arm]);
const tools = await pushImage(registry, "library/busybox:1.36", {
  layers: [base, await randomLayer({ size: 2 ** 21 })],
  platform: "linux/amd64",
});

const env = {
  ROOT: root,
  REGISTRY: registry.host,
  STOWAGE_STORE: join(scratch, "store"),
  DIST: join(scratch, "dist"),
  DEVICE: join(scratch, "device"),
};
// Not on a terminal, two streams would lose their order.
const programs = `[ -t 2 ] || exec 2>&1
stowage() { sh "$ROOT/scripts/stowage" "$@"; }
deno() { "$ROOT/scripts/deno" "$@"; }
# Neither skopeo nor podman writes to this machine's own folders.
skopeo() { command skopeo --tmpdir "$TMPDIR" "$@"; }
podman() { command podman --runroot "$DEVICE/run" --tmpdir "$DEVICE/tmp" --storage-driver overlay "$@"; }
`;

let folder = join(root, "examples/quickstart");
let steps = 0;

function step(title: string, ...story: string[]): void {
  console.log(`\n${bold(green(`${++steps}. ${title}`))}\n`);
  for (const line of story) console.log(line);
  if (story.length > 0) console.log();
}

/** Shows a line of shell and runs it; what is shown is what is run. */
async function type(line: string, wanted = 0): Promise<void> {
  console.log(`${dim("$")} ${cyan(line)}`);
  const { code } = await new Deno.Command("sh", {
    args: ["-c", programs + line],
    cwd: folder,
    env,
    stdin: "null",
  }).spawn().status;
  if (code !== wanted) {
    console.error(red(`\ndemo: this exited with ${code}, not with ${wanted}`));
    await stop(1);
  }
}

function changeTo(path: string): void {
  console.log(`${dim("$")} ${cyan(`cd ${path.replace(env.STOWAGE_STORE, "$STOWAGE_STORE")}`)}`);
  folder = path;
}

step(
  "A registry on this machine, with real images in it",
  `${registry.host}/library/nginx:1.27    for linux/amd64 and linux/arm64`,
  `${registry.host}/library/busybox:1.36  shares its first layer with them`,
);

step("A config says which images");
await type("cat images.config.ts");

step("What would it cost? Only manifests are read");
await type("stowage plan");

step("Fetch them, from a script");
await type("deno run -A build.ts");

step("And again, from the command line: there is nothing to download");
await type("stowage fetch");

step("The store: osbuild's layout, each image as skopeo's `dir`, the manifest as it was served");
changeTo(join(env.STOWAGE_STORE, "sources/org.osbuild.containers", tools.id));
await type("ls . image");
await type("cat origin.json");
await type("sha256sum image/manifest.json");
await type('skopeo inspect --format "{{.Digest}}, {{.Os}}/{{.Architecture}}" dir:image');

step(
  "Build a device's system of the same images",
  "Its apps are in a read-only store for podman (os), or are loaded at the first boot (os-loader);",
  "one of them is made of a tree (dashboard).",
);
changeTo(join(root, "examples/edge-device"));
await type("stowage graph");
const isRoot = Deno.uid() === 0;
if (!isRoot) console.log(dim("# without root, files have no other owners: no container storage"));
await type(`stowage build ${isRoot ? "" : "os-loader dashboard "}--out $DIST`);

step("Look at it, with the tools of others");
if (isRoot) {
  const store = "additionalimagestore=$DIST/os/usr/share/containers/storage";
  await type(`podman --root $DEVICE/storage --storage-opt ${store} images`);
}
await type("ls $DIST/os-loader/usr/share/stowage/container-loader/images");
await type(
  'skopeo inspect --format "{{.Digest}}, {{.Os}}/{{.Architecture}}" ' +
    "oci-archive:$DIST/dashboard/dashboard.oci.tar",
);
changeTo(join(root, "examples/quickstart"));

step("The registry goes away: what is in the store is enough");
await registry.stop();
await type("stowage fetch --offline");

step(
  "The registry comes back, and one byte of a layer is wrong",
  "Only what is absent is looked for elsewhere; what is wrong is refused, with exit code 3.",
);
await registry.start();
const layer = await Deno.readFile(registry.blobPath(base.digest));
layer[1000]! ^= 1;
await Deno.writeFile(registry.blobPath(base.digest), layer);
await type("stowage fetch tools --store $STOWAGE_STORE-2", 3);

console.log(dim("\nAll of it is gone again. Next: sh scripts/test.sh, and README.md"));
await stop(0);
