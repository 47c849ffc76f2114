import { basename, join } from "@std/path";
import { docker } from "../../config/mod.ts";
import { type PushedImage, run } from "../../tests/support/mod.ts";
import { checkImages } from "./content.ts";
import { bytesOnDisk } from "./disk.ts";
import { type Folder, remove } from "./folder.ts";
import type { Program } from "./measure.ts";
import { podmanStorage } from "./podman.ts";
import { shell, stowage, writeConfig } from "./programs.ts";
import type { Contender } from "./rounds.ts";

/** Who fetches images, each from nothing. */
export interface Fetchers {
  /** `skopeo copy`, one image after the other, each into a folder of its own. */
  readonly oneByOne: Contender;
  /** The same, and then what stowage does as well: wait until the disk has it. */
  readonly oneByOneSynced: Contender;
  /** The same, four at once. */
  readonly fourAtOnce: Contender;
  /** `skopeo copy`, one image after the other, into an OCI layout, which keeps each blob once. */
  readonly layout: Contender;
  /** `skopeo sync`, all images in one process. */
  readonly sync: Contender;
  /** `podman pull`, all images in one process, which unpacks them too; where there is podman. */
  readonly podman?: Contender;
  /**
   * Those that are on the `PATH`, each into an OCI layout: `crane pull` and `regsync once` with all
   * images in one process, `regctl image copy` and `oras copy` one image after the other.
   */
  readonly others: readonly Contender[];
  /** `stowage fetch`. */
  readonly stowage: Contender;
}

const SKOPEO = "skopeo --insecure-policy";
/** Each blob is compared with its digest. */
const BLOBS = "blobs";

/**
 * Makes all that fetch images.
 *
 * @param dir For the files, of these images only.
 * @param images The images.
 * @param certDir Folder with the authority of their registry; without one it is asked without TLS.
 * @param flags More flags of `stowage fetch`.
 * @returns The contenders. Before each run they have nothing; after it they are checked to have all.
 */
export async function fetchersOf(
  dir: Folder,
  images: readonly PushedImage[],
  certDir?: string,
  flags: readonly string[] = [],
): Promise<Fetchers> {
  const references = images.map(({ reference }) => reference);
  const out = dir.join("out");
  const access = certDir === undefined ? "--src-tls-verify=false" : `--src-cert-dir=${certDir}`;
  const copy = `${SKOPEO} copy --quiet ${access} "docker://$image"`;
  const copyToDir = `${copy} "dir:$0/\${image##*/}"`;
  const toDir = (name: string, program: Program, verifies = BLOBS): Contender => ({
    ...{ name, verifies },
    run: program,
    before: () => empty(out),
    disk: () => bytesOnDisk(out),
    check: (isThorough) =>
      checkImages(images, ({ digest, reference }, blob) => {
        const file = blob === digest ? "manifest.json" : blob.replace("sha256:", "");
        return join(out, basename(reference), file);
      }, isThorough),
  });
  const each = (script: string) => shell(`for image; do ${script}; done`, out, ...references);
  const four = `printf "%s\\n" "$@" | xargs -P4 -I@ sh -euc 'image=$1; ${copyToDir}' "$0" @`;
  const list = dir.join("images.yaml");
  await Deno.writeTextFile(list, JSON.stringify(syncList(references, certDir)));
  const sync = `${SKOPEO} sync --src yaml --dest dir "$1" "$0"`;
  const podman = await pullers(dir, images, certDir);
  const toLayout = (name: string, program: Program): Contender => ({
    ...{ name, verifies: BLOBS },
    run: program,
    before: () => empty(out),
    disk: () => bytesOnDisk(out),
    check: (isThorough) =>
      checkImages(images, (_, blob) => join(out, "blobs", blob.replace(":", "/")), isThorough),
  });
  const [host = ""] = references[0]?.split("/") ?? [];
  // For who gives tokens, whom the flags do not mean.
  const trust = certDir === undefined ? "" : `export SSL_CERT_FILE='${certDir}/ca.crt'; `;
  const tls = certDir === undefined ? "disabled" : "insecure";
  const tagged = `$(basename "\${image%:*}")`;
  const regctl =
    `regctl image copy --host "reg=${host},tls=${tls}" "$image" "ocidir://$0:${tagged}"`;
  const oras = `oras copy --no-tty --from-${certDir === undefined ? "plain-http" : "insecure"} ` +
    `"$image" --to-oci-layout "$0:${tagged}"`;
  const regsync = dir.join("regsync.json");
  await Deno.writeTextFile(regsync, JSON.stringify(regsyncConfig(references, { host, tls, out })));
  const others = Object.entries({
    "crane pull": shell(`${trust}crane pull --insecure --format oci "$@" "$0"`, out, ...references),
    "regctl image copy": each(`${trust}${regctl}`),
    "regsync once": shell(`${trust}regsync once --config "$0"`, regsync),
    "oras copy": each(`${trust}${oras}`),
  });
  const here = await Promise.all(others.map(([name]) => isHere(name.split(" ")[0] ?? "")));
  return {
    oneByOne: toDir("skopeo copy, one by one", each(copyToDir)),
    oneByOneSynced: toDir(
      "skopeo copy, one by one, then sync",
      shell(`for image; do ${copyToDir}; done; sync --file-system "$0"`, out, ...references),
      `${BLOBS}; on disk`,
    ),
    fourAtOnce: toDir("skopeo copy, four at once", shell(four, out, ...references)),
    layout: toLayout("skopeo copy, one OCI layout", each(`${copy} "oci:$0:\${image##*/}"`)),
    sync: toDir("skopeo sync", shell(sync, out, list)),
    ...(podman && { podman }),
    others: others.flatMap(([name, program], at) =>
      here[at] ? [toLayout(`${name}, one OCI layout`, program)] : []
    ),
    stowage: await stowageFetch(dir, images, certDir, flags),
  };
}

/** Whether a program is on the `PATH`. */
export async function isHere(program: string): Promise<boolean> {
  const looking = new Deno.Command("sh", { args: ["-c", 'command -v "$0"', program] });
  return (await looking.output()).success;
}

async function stowageFetch(
  dir: Folder,
  images: readonly PushedImage[],
  certDir: string | undefined,
  flags: readonly string[],
): Promise<Contender> {
  const store = dir.join("store");
  const config = await writeConfig(dir, "fetch.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(images.map(({ reference }, n) => [
      `app-${n}`,
      docker(reference, certDir === undefined ? { tlsVerify: false } : { certDir }),
    ])),
  });
  return {
    name: ["stowage fetch", ...flags].join(" "),
    verifies: `${BLOBS}, unpacked too; policy; on disk`,
    run: stowage("fetch", "--config", config, "--store", store, ...flags),
    before: async () => {
      await forgetBlobs();
      await remove(store);
    },
    disk: () => bytesOnDisk(store),
    check: (isThorough) =>
      checkImages(images, ({ id, digest }, blob) => {
        const file = blob === digest ? "manifest.json" : blob.replace("sha256:", "");
        return join(store, "sources/org.osbuild.containers", id, "image", file);
      }, isThorough),
  };
}

async function pullers(
  dir: Folder,
  images: readonly PushedImage[],
  certDir: string | undefined,
): Promise<Contender | undefined> {
  const storage = await podmanStorage(dir);
  if (!storage) return undefined;
  const policy = dir.join("policy.json");
  await Deno.writeTextFile(policy, '{"default": [{"type": "insecureAcceptAnything"}]}');
  const access = certDir === undefined ? "--tls-verify=false" : `--cert-dir=${certDir}`;
  const flags = ["--quiet", access, "--signature-policy", policy];
  return {
    name: `podman pull (${storage.driver})`,
    verifies: `${BLOBS}; unpacks them`,
    run: storage.program("pull", ...flags, ...images.map(({ reference }) => reference)),
    before: async () => {
      await forgetBlobs();
      await storage.clear();
    },
    disk: () => bytesOnDisk(storage.root),
    check: async () => {
      const { path, args } = storage.program("images", "--quiet", "--no-trunc");
      const found = new Set((await run(path, args)).split("\n"));
      for (const { id } of images) if (!found.has(id)) throw new Error(`podman has no ${id}`);
    },
  };
}

/** What `regsync` reads: JSON is YAML. */
function regsyncConfig(
  references: readonly string[],
  { host, tls, out }: { readonly host: string; readonly tls: string; readonly out: string },
) {
  return {
    version: 1,
    creds: [{ registry: host, tls }],
    defaults: { parallel: 4 },
    sync: references.map((source) => ({
      ...{ source, type: "image" },
      target: `ocidir://${out}:${basename(source).replace(/:.*/, "")}`,
    })),
  };
}

/** What `skopeo sync` reads: the tags of each path of each registry. */
export function syncList(references: readonly string[], certDir: string | undefined) {
  const hosts = Object.groupBy(references, (reference) => reference.split("/")[0] ?? "");
  return Object.fromEntries(
    Object.entries(hosts).map(([host, references = []]) => [host, {
      ...(certDir === undefined ? { "tls-verify": false } : { "cert-dir": certDir }),
      images: Object.fromEntries(references.map((reference) => {
        const [path = "", tag = ""] = reference.slice(host.length + 1).split(":");
        return [path, [tag]];
      })),
    }]),
  );
}

async function empty(folder: string): Promise<void> {
  await forgetBlobs();
  await remove(folder);
  await Deno.mkdir(folder);
}

/** Removes the cache in which skopeo and podman remember where they have seen a blob. */
async function forgetBlobs(): Promise<void> {
  const home = Deno.env.get("XDG_DATA_HOME") ?? `${Deno.env.get("HOME")}/.local/share`;
  const cache = `${Deno.uid() === 0 ? "/var/lib" : home}/containers/cache`;
  for (const name of ["boltdb", "sqlite"]) await remove(`${cache}/blob-info-cache-v1.${name}`);
}
