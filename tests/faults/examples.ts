import type { Json } from "./arbitraries.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const OTHER = `sha256:${"b".repeat(64)}`;

/** References as people write them. */
export const REFERENCES: readonly string[] = [
  ...["nginx", "nginx:1.27", "quay.io/acme/app:1.4", `quay.io/acme/app@${DIGEST}`],
  ...[`localhost:5000/a/b_c-d.e:T@${DIGEST}`, "127.0.0.1:5000/app", "docker://quay.io/a;tag=b"],
];

/** The manifest of an image. */
export const MANIFEST: Json = {
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: DIGEST, size: 7 },
  layers: [{
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    digest: OTHER,
    size: 70,
    annotations: { a: "b" },
  }],
};

/** An index of images. */
export const INDEX: Json = {
  schemaVersion: 2,
  manifests: [
    { digest: DIGEST, size: 7, platform: { os: "linux", architecture: "arm", variant: "v7" } },
    { digest: OTHER, size: 7, platform: { os: "unknown", architecture: "unknown" } },
  ],
};

/** The config of an image. */
export const IMAGE_CONFIG: Json = {
  os: "linux",
  architecture: "amd64",
  config: { Cmd: ["/bin/sh"], Labels: { a: "b" } },
  rootfs: { type: "layers", diff_ids: [DIGEST, OTHER] },
  history: [{ created_by: "x" }],
};

/** A policy.json. */
export const POLICY: Json = {
  default: [{ type: "reject" }],
  transports: {
    docker: {
      "quay.io/acme": [{
        type: "signedBy",
        keyType: "GPGKeys",
        keyPath: "/key",
        signedIdentity: { type: "matchRepository" },
      }],
      "*.example.com": [{ type: "sigstoreSigned", keyPath: "/key" }],
      "": [{ type: "insecureAcceptAnything" }],
    },
    dir: { "": [{ type: "insecureAcceptAnything" }] },
  },
};

/** What skopeo says when it fails. */
export const SKOPEO_ERRORS: readonly string[] = [
  'time="2024-01-01T00:00:00Z" level=fatal msg="Error parsing image name \\"docker://a\\": ' +
  'reading manifest 1 in a/b: manifest unknown: \\x1b[2J"',
  'time="x" level=fatal msg="initializing source docker://a: pinging container registry a: ' +
  'invalid status code from registry 503 (Service Unavailable)"',
  'level=fatal msg="writing blob: storing blob to file \\"/x\\": no space left on device"',
  "FATA[0000] unauthorized: authentication required",
];

/** A config that uses all that there is. */
export const CONFIG: Json = {
  platform: "linux/arm64",
  digests: "ignore",
  policy: {
    default: { type: "reject" },
    docker: { "quay.io/acme": { type: "signedBy", keyPath: "key.gpg" } },
  },
  registriesD: "registries.d",
  mirrors: { "quay.io": ["mirror.example.com/quay", { location: "localhost:5000" }] },
  sources: {
    web: { type: "docker", reference: "nginx:1.27", platforms: ["linux/amd64", "linux/arm/v7"] },
    app: {
      type: "docker",
      reference: `quay.io/acme/app:1@${DIGEST}`,
      id: OTHER,
      tlsVerify: false,
      fallback: [{ type: "containers-storage" }, { type: "dir", path: "app" }],
    },
    old: { type: "docker-archive", path: "old.tar", image: "old:1" },
    kept: { type: "containers-storage", reference: "kept", location: "[vfs@/srv+/run]" },
  },
  inputs: {
    apps: { type: "images", images: { web: "localhost/web:2", app: ["a", "b"] } },
    more: { type: "images", images: [{ source: "old", name: "old" }, { source: "kept" }] },
    made: { type: "output", stage: "make", as: "localhost/made" },
    rootfs: { type: "tree", path: "rootfs" },
  },
  stages: {
    make: {
      type: "oci-archive",
      inputs: ["rootfs"],
      filename: "made.tar",
      config: { Cmd: ["a"], Labels: { a: "b" } },
      compression: "zstd",
      level: 19,
    },
    os: {
      type: "install",
      inputs: ["apps", "more", "made"],
      destination: { type: "containers-storage", path: "/srv", driver: "vfs" },
    },
    run: { type: "exec", on: "os", command: ["sh", "-c", "true"], env: { A: "b" } },
    copy: { type: "copy-tree", on: "run", inputs: ["rootfs"], to: "/usr" },
    load: { type: "container-loader", inputs: ["apps"], engine: "podman" },
    save: { type: "docker-archive", inputs: ["apps"], path: "/images", compression: "none" },
  },
};

/** A lock of some of it. */
export const LOCK: Json = {
  schema: 1,
  sources: {
    web: {
      reference: "docker://docker.io/library/nginx:1.27",
      tag: "1.27",
      index: { digest: DIGEST, mediaType: "x/y", size: 3 },
      platforms: {
        "linux/amd64": { digest: DIGEST, id: OTHER, mediaType: "x/y", size: 3 },
        "linux/arm/v7": { digest: OTHER, id: DIGEST, mediaType: "x/y", size: 3 },
      },
    },
  },
};

/** Where an image came from. */
export const ORIGINS: Json = {
  schema: 1,
  origins: [{
    reference: "docker://quay.io/acme/app:1",
    digest: DIGEST,
    index: OTHER,
    transport: "docker",
    platform: "linux/amd64",
    fetched: "2024-01-01T00:00:00.000Z",
  }],
};

/** What is known of a finished tree. */
export const STAGE: Json = {
  schema: 1,
  stage: "os",
  type: "exec",
  made: "2024-01-01T00:00:00.000Z",
  fingerprint: "f".repeat(64),
};

/** Which results stand in a folder. */
export const MARK: Json = { schema: 2, stages: { os: ["os"], app: ["app", "next"] } };
