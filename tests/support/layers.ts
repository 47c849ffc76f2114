import { promisify } from "node:util";
import { gzip, zstdCompress } from "node:zlib";
import { digestOf } from "./digest.ts";
import { tar, type TarTree } from "./tar.ts";

/** How a layer is compressed. */
export type Compression = "gzip" | "zstd" | "none";

/** A layer, in memory. */
export interface Layer {
  /** Of the bytes as they travel. */
  readonly digest: string;
  /** Of the tar archive inside. */
  readonly diffId: string;
  readonly size: number;
  readonly compression: Compression;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** How to make a layer. */
export interface LayerOptions {
  readonly compression?: Compression;
  /** Of gzip, 0 to 9: another level is another digest of the same content. */
  readonly level?: number;
  /** Leave out folders that are not listed. */
  readonly bare?: boolean;
}

/**
 * Makes a layer of files: the same bytes for the same files.
 *
 * @param tree The files.
 * @param options The compression; gzip, unless told.
 * @returns The layer.
 */
export async function fileLayer(tree: TarTree, options: LayerOptions = {}): Promise<Layer> {
  const { compression = "gzip", level = 6, bare = false } = options;
  const archive = tar(tree, bare);
  const bytes = await compress(archive, compression, level);
  const [digest, diffId] = await Promise.all([digestOf(bytes), digestOf(archive)]);
  return { digest, diffId, size: bytes.length, compression, bytes };
}

async function compress(
  data: Uint8Array<ArrayBuffer>,
  compression: Compression,
  level: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (compression === "none") return data;
  if (compression === "zstd") return new Uint8Array(await promisify(zstdCompress)(data));
  return new Uint8Array(await promisify(gzip)(data, { level }));
}

/**
 * A small Linux root: busybox with the usual names, users, `os-release`.
 *
 * @param options The compression.
 * @returns The layer.
 */
export async function busyboxLayer(options: LayerOptions = {}): Promise<Layer> {
  const commands = ["cat", "cp", "echo", "env", "ls", "mkdir", "rm", "sh", "sleep", "true"];
  return await fileLayer({
    "bin/busybox": { data: await Deno.readFile("/bin/busybox"), mode: 0o755 },
    ...Object.fromEntries(commands.map((name) => [`bin/${name}`, { symlink: "busybox" }])),
    "etc/group": "root:x:0:\n",
    "etc/os-release": 'ID=busybox\nNAME="BusyBox"\nPRETTY_NAME="BusyBox"\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "root": { dir: true, mode: 0o700 },
    "tmp": { dir: true, mode: 0o1777 },
  }, options);
}

/**
 * What a web server's image puts on top of its root.
 *
 * @param options The compression.
 * @returns The layer.
 */
export async function nginxLikeLayer(options: LayerOptions = {}): Promise<Layer> {
  return await fileLayer({
    "docker-entrypoint.sh": { data: '#!/bin/sh\nexec "$@"\n', mode: 0o755 },
    "etc/nginx/nginx.conf":
      "worker_processes auto;\nevents {}\nhttp {\n  include /etc/nginx/conf.d/*.conf;\n}\n",
    "etc/nginx/conf.d/default.conf": "server {\n  listen 80;\n  root /usr/share/nginx/html;\n}\n",
    "usr/share/nginx/html/index.html":
      "<!doctype html>\n<title>Welcome</title>\n<h1>Welcome to nginx</h1>\n",
    "var/cache/nginx": { dir: true, mode: 0o700, owner: 101 },
    "var/log/nginx/access.log": { symlink: "/dev/stdout" },
    "var/log/nginx/error.log": { symlink: "/dev/stderr" },
  }, options);
}

/** Size and seed of a random layer. */
export interface RandomLayerOptions {
  /** In bytes, of the one file in it. */
  readonly size: number;
  /** Another seed is another layer. */
  readonly seed?: number;
}

/**
 * A layer that does not compress: one file of random bytes, the same for the same seed.
 *
 * @param options Its size and its seed.
 * @returns The layer.
 */
export async function randomLayer({ size, seed = 0 }: RandomLayerOptions): Promise<Layer> {
  const secret = new Uint8Array(16);
  new DataView(secret.buffer).setUint32(0, seed);
  const key = await crypto.subtle.importKey("raw", secret, "AES-CTR", false, ["encrypt"]);
  const algorithm = { name: "AES-CTR", counter: new Uint8Array(16), length: 64 };
  const data = await crypto.subtle.encrypt(algorithm, key, new Uint8Array(size));
  return await fileLayer({ [`srv/random-${seed}`]: new Uint8Array(data) }, { level: 0 });
}
