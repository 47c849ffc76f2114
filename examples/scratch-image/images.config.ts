import { defineConfig, install, ociArchive, output, tree } from "@stowage/stowage";

/** Where the image goes: `REGISTRY=127.0.0.1:5000`. */
const registry = Deno.env.get("REGISTRY") ?? "registry.example.com";
const tlsVerify = !registry.startsWith("127.0.0.1:");

export default defineConfig({
  inputs: {
    files: tree("files"),
    image: output("archive", { as: `${registry}/acme/settings:1` }),
  },
  stages: {
    // As `FROM scratch` and `COPY files /`, but the same bytes each time, and no daemon.
    archive: ociArchive({
      inputs: ["files"],
      filename: "settings.oci.tar",
      platform: "linux/amd64",
      config: { Labels: { "org.opencontainers.image.title": "Settings of Acme's devices" } },
    }),
    push: install({ inputs: ["image"], destination: { type: "docker", tlsVerify } }),
  },
});
