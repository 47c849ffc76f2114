import {
  containerLoader,
  copyTree,
  defineConfig,
  docker,
  exec,
  images,
  install,
  ociArchive,
  output,
  tree,
} from "@stowage/stowage";

/** Docker Hub, or any other registry: `REGISTRY=127.0.0.1:5000`. */
const registry = Deno.env.get("REGISTRY") ?? "docker.io";
const tlsVerify = !registry.startsWith("127.0.0.1:");

/** The device's, whatever machine builds for it. */
const platform = "linux/amd64";

export default defineConfig({
  platform,
  sources: {
    web: docker(`${registry}/library/nginx:1.27`, { tlsVerify }),
    tools: docker(`${registry}/library/busybox:1.36`, { tlsVerify }),
  },
  inputs: {
    rootfs: tree("rootfs"),
    pages: tree("dashboard"),
    apps: images({ web: "localhost/web:1.27", tools: "localhost/tools:1.36" }),
    dashboard: output("dashboard", { as: "localhost/dashboard:1" }),
  },
  stages: {
    // An image of this project's own: rootfs/ has a unit that mounts it into `web`.
    "dashboard": ociArchive({ inputs: ["pages"], filename: "dashboard.oci.tar", platform }),

    // The system. A checkout's files belong to who made it, a system's to root.
    "files": copyTree({ inputs: ["rootfs"] }),
    "base": exec({ on: "files", command: ["chown", "-R", "0:0", "."] }),

    // Its apps are there when it boots, in a storage that may be read-only.
    "os": install({
      on: "base",
      inputs: ["apps", "dashboard"],
      destination: { type: "containers-storage", path: "/usr/share/containers/storage" },
      additionalImageStore: true,
    }),

    // Or podman's own storage takes them in when it boots first.
    "os-loader": containerLoader({
      on: "base",
      inputs: ["apps", "dashboard"],
      engine: "podman",
      deleteAfterLoad: true,
    }),
  },
});
