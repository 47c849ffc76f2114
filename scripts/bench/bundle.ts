import { docker } from "../../config/mod.ts";
import { run, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { checkImages, wholeOf } from "./content.ts";
import { bytesOnDisk } from "./disk.ts";
import { remove } from "./folder.ts";
import { pushSharing } from "./images.ts";
import { shell, stowage, writeConfig } from "./programs.ts";

const SKOPEO = "skopeo --insecure-policy copy --quiet";
/** Packs images of the store, given as pairs of a folder and a name. */
const PACK = `file=$0; layout=$file.layout; while [ $# -gt 0 ]; do ` +
  `${SKOPEO} "dir:$1" "oci:$layout:$2"; shift 2; done; ` +
  'tar --create --file "$file" --directory "$layout" .; rm -r "$layout"; sync "$file"';
/** Unpacks images, given by name. */
const UNPACK = `file=$0; out=$1; shift; mkdir "$out" "$out/layout"; ` +
  'tar --extract --file "$file" --directory "$out/layout"; ' +
  `for name; do ${SKOPEO} "oci:$out/layout:$name" "dir:$out/$name"; done; rm -r "$out/layout"; ` +
  'sync --file-system "$out"';

/** Eight images that share their base, into one file for a closed site, and out of it. */
export const bundleEight: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushSharing(registry, 8, { shared: mb(200), own: mb(20) });
  const config = await writeConfig(dir, "bundle.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(images.map(({ reference, id }, n) => [
      `app-${n}`,
      docker(reference, { id, tlsVerify: false }),
    ])),
  });
  const store = dir.join("store");
  const fetch = stowage("fetch", "--config", config, "--store", store);
  await run(fetch.path, fetch.args);
  const folderOf = (store: string, id: string) =>
    `${store}/sources/org.osbuild.containers/${id}/image`;
  const [packed, site] = [dir.join("packed.tar"), dir.join("site.tar")];
  const pack = shell(
    PACK,
    packed,
    ...images.flatMap(({ id }, n) => [folderOf(store, id), `app-${n}`]),
  );
  const create = stowage("bundle", "create", "-o", site, "--config", config, "--store", store);
  for (const each of [pack, create]) await run(each.path, [...each.args]);
  const made = (file: string) => ({
    before: () => remove(file),
    disk: () => bytesOnDisk(file),
    check: () => Deno.stat(file).then(() => {}),
  });
  const [out, there] = [dir.join("out"), dir.join("there")];
  const load = stowage("bundle", "load", site, "--store", there);
  const whole = wholeOf(images);
  const inFolder = (folderOf: (n: number) => string) => (isThorough: boolean) =>
    checkImages(images, ({ id, digest }, blob) => {
      const n = images.findIndex((image) => image.id === id);
      return `${folderOf(n)}/${blob === digest ? "manifest.json" : blob.replace("sha256:", "")}`;
    }, isThorough);
  return [{
    id: "bundle-create",
    title: "8 images of the store, which share 10/11, into one file",
    contenders: [
      { name: "skopeo copy, tar, sync", verifies: "blobs; on disk", run: pack, ...made(packed) },
      {
        ...{ name: "stowage bundle create", verifies: "blobs; on disk" },
        ...{ run: create, ...made(site) },
      },
    ],
    isCharted: true,
    whole,
  }, {
    id: "bundle-load",
    title: "the same 8 images, out of that file",
    contenders: [
      {
        ...{ name: "tar, skopeo copy, sync", verifies: "blobs; on disk" },
        run: shell(UNPACK, packed, out, ...images.map((_, n) => `app-${n}`)),
        before: () => remove(out),
        disk: () => bytesOnDisk(out),
        check: inFolder((n) => `${out}/app-${n}`),
      },
      {
        ...{ name: "stowage bundle load", verifies: "blobs, unpacked too; on disk" },
        run: load,
        before: () => remove(there),
        disk: () => bytesOnDisk(there),
        check: inFolder((n) => folderOf(there, images[n]?.id ?? "")),
      },
    ],
    isCharted: true,
    whole,
  }];
};
