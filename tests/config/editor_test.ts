/** What editors offer in a config that is being written, from Deno's own language server. */
import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { LanguageServer, tempDir } from "../support/mod.ts";

const BUILDERS = [
  ...["containerLoader", "copyTree", "defineConfig", "docker", "dockerArchive", "exec", "images"],
  ...["install", "ociArchive", "output", "tree"],
];
const SOURCES = `sources: { web: docker("nginx"), "web-arm": docker("nginx") }`;
const INPUTS = `inputs: { apps: images({ web: "a" }), rootfs: tree("rootfs") }`;
const stages = (os: string) =>
  `${SOURCES}, ${INPUTS}, stages: { base: copyTree({ inputs: ["rootfs"] }), os: ${os} }`;
const PLATFORMS = [
  ...["linux/386", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64"],
  ...["linux/ppc64le", "linux/riscv64", "linux/s390x"],
];

/** Where the cursor stands, as `|`, and what is offered there. */
const OFFERS: Readonly<Record<string, readonly string[]>> = {
  [`platform: "|"`]: PLATFORMS,
  [`sources: { web: docker("nginx", { platform: "|" }) }`]: PLATFORMS,
  [`registries: { "registry.acme.io": { | } }`]: ["authFile", "certDir", "tlsVerify"],
  [`${SOURCES}, inputs: { apps: images({ | }) }`]: [`"web-arm"`, "web"],
  [`${SOURCES}, inputs: { apps: images({ web: "a", | }) }`]: [`"web-arm"`],
  [`${SOURCES}, inputs: { apps: images({ "|" }) }`]: ["web-arm", "web"],
  [`${SOURCES}, inputs: { apps: images({ web: "a", "|": "b" }) }`]: ["web-arm", "web"],
  [`${SOURCES}, inputs: { apps: images([{ source: "|" }]) }`]: ["web", "web-arm"],
  [`inputs: { made: output("|") }, stages: { app: exec({ command: ["x"] }) }`]: ["app"],
  [`inputs: { made: tree({ stage: "|" }) }, stages: { app: exec({ command: ["x"] }) }`]: ["app"],
  [stages(`install({ inputs: ["|"] })`)]: ["apps", "rootfs"],
  [stages(`install({ inputs: ["apps", "|"], destination: { type: "oci", path: "/x" } })`)]: [
    ...["apps", "rootfs"],
  ],
  [stages(`install({ inputs: [], destination: { type: "|" } })`)]: [
    ...["containers-storage", "dir", "docker", "docker-archive", "docker-daemon", "oci"],
    "oci-archive",
  ],
  [stages(`dockerArchive({ inputs: ["|"] })`)]: ["apps", "rootfs"],
  [stages(`containerLoader({ inputs: ["|"], engine: "podman" })`)]: ["apps", "rootfs"],
  [stages(`ociArchive({ inputs: ["|"], filename: "a.tar" })`)]: ["apps", "rootfs"],
  [stages(`exec({ inputs: ["|"], command: ["x"] })`)]: ["apps", "rootfs"],
  [stages(`copyTree({ inputs: ["rootfs"], on: "|" })`)]: ["base", "os"],
  [stages(`exec({ command: ["x"], on: "|" })`)]: ["base", "os"],
  [stages(`{ type: "copy-tree", inputs: ["|"] }`)]: ["apps", "rootfs"],
};

it("editors offer the names of a config wherever one belongs", async () => {
  await using dir = await tempDir();
  await using server = await LanguageServer.start(dir.path);
  const offers: Record<string, readonly string[]> = {};
  for (const where of Object.keys(OFFERS)) {
    const text = `import { ${BUILDERS.join(", ")} } from "@stowage/stowage";
export default defineConfig({ ${where} });`;
    const labels = await server.complete("images.config.ts", text);
    // What stands there already may be offered as well, which is nothing yet.
    offers[where] = labels.map((label) => label.replace(/\?$/, "")).filter(Boolean);
  }
  assertEquals(offers, OFFERS);
});
