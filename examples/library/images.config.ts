import { defineConfig, docker } from "@stowage/stowage";

const registry = Deno.env.get("REGISTRY") ?? "docker.io";
const tlsVerify = !registry.startsWith("127.0.0.1:");

export default defineConfig({
  platform: "linux/arm64",
  sources: {
    web: docker(`${registry}/library/nginx:1.27`, { tlsVerify }),
  },
});
