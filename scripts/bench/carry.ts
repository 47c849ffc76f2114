import { docker } from "../../config/mod.ts";
import { startRelay } from "../../tests/carry/relay.ts";
import { type PushedImage, type Registry, run, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { isHere, syncList } from "./fetchers.ts";
import { type Folder, remove } from "./folder.ts";
import { pushSharing } from "./images.ts";
import { shell, stowage, writeConfig } from "./programs.ts";
import { checkPushed, pathOf } from "./push.ts";
import type { Contender } from "./rounds.ts";
import { formatSize } from "./units.ts";

/** Eight images that share their base, from one registry into another that has nothing. */
export const carryEight: Case = async ({ dir, resources, mb }) => {
  const [from, to] = [resources.use(await startRegistry()), resources.use(await startRegistry())];
  const sizes = { shared: mb(200), own: mb(20) };
  const images = await pushSharing(from, 8, sizes);
  const relay = resources.use(startRelay(to));
  const each = formatSize(sizes.shared + sizes.own);
  const title = `8 images of ${each} that share ${formatSize(sizes.shared)}, from one registry ` +
    "into another that is empty";
  const at = (host: string) => carriersOf(dir, images, { from, to, host });
  return [
    { id: "carry-eight", title, contenders: await at(to.host), isCharted: true },
    {
      id: "carry-eight-bytes",
      title: `${title}: bytes that the other is sent, by a relay that counts them`,
      contenders: await at(relay.host),
      rounds: () => 1,
      sent: () => Promise.resolve(relay.sent),
      whole: wholeOf(images),
    },
  ];
};

/** Who carries images: peers where they are on the `PATH`. */
async function carriersOf(
  dir: Folder,
  images: readonly PushedImage[],
  { from, to, host }: {
    readonly from: Registry;
    readonly to: Registry;
    /** What the other registry is called by. */
    readonly host: string;
  },
): Promise<Contender[]> {
  const references = images.map(({ reference }) => reference);
  const store = dir.join("carry-store");
  const config = await writeConfig(dir, "carry.json", {
    platform: "linux/amd64",
    digests: "ignore",
    sources: Object.fromEntries(
      references.map((reference, n) => [`app-${n}`, docker(reference, { tlsVerify: false })]),
    ),
  });
  const list = dir.join("carry.yaml");
  await Deno.writeTextFile(list, JSON.stringify(syncList(references, undefined)));
  const empty = async () => {
    await to.stop();
    await remove(to.root);
    await to.start();
    await remove(store);
  };
  const check = () => checkPushed(to, images);
  const folder = pathOf(references[0] ?? "").split("/").slice(0, -1).join("/");
  const loop = (script: string) =>
    shell(`for image; do ${script} "$image" "$0/\${image#*/}"; done`, host, ...references);
  const peers: readonly (readonly [string, string, Contender["run"]])[] = [
    [
      "skopeo",
      "skopeo sync",
      shell(
        'skopeo --insecure-policy sync --src yaml --dest docker --dest-tls-verify=false "$1" "$0"',
        `${host}/${folder}`,
        list,
      ),
    ],
    ["crane", "crane cp, one by one", loop("crane cp --insecure")],
    [
      "regctl",
      "regctl image copy, one by one",
      loop(
        `regctl image copy --host reg=${from.host},tls=disabled --host reg=${host},tls=disabled`,
      ),
    ],
    ["oras", "oras cp, one by one", loop("oras cp --from-plain-http --to-plain-http")],
  ];
  const here = await Promise.all(
    peers.map(async ([program, name, run]): Promise<Contender[]> =>
      await isHere(program) ? [{ name, run, before: empty, check }] : []
    ),
  );
  const push = stowage(
    ...["push", "--to", host, "--tls-verify=false", "--config", config, "--store", store],
  );
  const fetch = stowage("fetch", "--config", config, "--store", store);
  return [
    ...here.flat(),
    { name: "stowage push, nothing in the store", run: push, before: empty, check },
    {
      name: "stowage push, all in the store",
      run: push,
      before: async () => {
        await empty();
        await run(fetch.path, fetch.args);
      },
      check,
    },
  ];
}
