import { containersStorage, defineConfig, docker } from "@stowage/stowage";

/** Docker Hub, or any other registry: `REGISTRY=127.0.0.1:5000`. */
const registry = Deno.env.get("REGISTRY") ?? "docker.io";
const tlsVerify = !registry.startsWith("127.0.0.1:");

export default defineConfig({
  sources: {
    // One tag, for two architectures.
    "web-amd64": docker(`${registry}/library/nginx:1.27`, { platform: "linux/amd64", tlsVerify }),
    "web-arm64": docker(`${registry}/library/nginx:1.27`, { platform: "linux/arm64", tlsVerify }),
    // Where no registry has it, the storage of podman on this machine may.
    "tools": docker(`${registry}/library/busybox:1.36`, {
      platform: "linux/amd64",
      tlsVerify,
      fallback: [docker("mirror.gcr.io/library/busybox:1.36"), containersStorage()],
    }),
  },
});
