import { join } from "@std/path";
import type { Run } from "../run.ts";
import type { Platform } from "../../config/mod.ts";
import type { ItemName } from "../events.ts";
import { Unserved } from "../transports/docker/errors.ts";
import type { PooledLayer } from "../store/blobs.ts";
import { guard } from "../lib/fs/files.ts";
import { blobPath } from "../store/image.ts";
import { layersOf, sizeOfImage } from "../store/manifest.ts";
import { LayerFetcher } from "./layer_fetcher.ts";
import type { Registries } from "../transports/docker/registries.ts";
import type { Resolved, Wanted } from "./resolve.ts";
import type { SkopeoRunner } from "./skopeo_runner.ts";
import { Traffic } from "./traffic.ts";
import { type VerifiedImage, verifyImage } from "./verify.ts";

/**
 * Downloads images. skopeo takes manifest, config and signatures and asks the policy; the layers of
 * registries go into the store's pool, so that each comes once and goes on where it was cut. Where
 * that cannot be, and from other places, skopeo takes the layers too.
 */
export class ImageDownloads {
  readonly #traffic: Traffic;
  readonly #layers: LayerFetcher;

  /**
   * Takes what it works with.
   *
   * @param context What the run gives.
   * @param skopeo Runs skopeo.
   * @param registries Gives the bytes of layers.
   */
  constructor(
    private readonly context: Run,
    private readonly skopeo: SkopeoRunner,
    registries: Registries,
  ) {
    this.#traffic = new Traffic(context.emit);
    this.#layers = new LayerFetcher(
      context,
      registries,
      ({ item, place }, action) => skopeo.insist(item, place, action),
    );
  }

  /**
   * Downloads an image and verifies it.
   *
   * @param wanted What it must be.
   * @param found What its place says of it.
   * @param work A workspace of the store.
   * @param platform The platform to choose, where skopeo has to.
   * @returns The image, in a folder of the workspace; the pool has its layers.
   * @throws {Absence} If the place does not give it.
   * @throws {StowageError} If it is not what it must be, or cannot be stored.
   */
  async download(
    wanted: Wanted,
    found: Resolved,
    work: string,
    platform: Platform | undefined,
  ): Promise<VerifiedImage> {
    const { signal, store } = this.context;
    // The folder that is moved must not be the one that is cleaned up.
    const folder = join(work, "archive", "image");
    const layers = await this.#withPool(wanted, found, { folder, work });
    if (!layers) await this.#withSkopeo(wanted, found, { folder, work }, platform);
    const hashed = new Map(layers?.map(({ digest, diffId }) => [digest, diffId]));
    const verified = await verifyImage(folder, wanted, found, hashed, signal);
    if (layers) return verified;
    for (const [index, layer] of verified.image.manifest.layers.entries()) {
      const diffId = verified.diffIds[index] ?? layer.digest;
      await store.blobs.adopt(blobPath(folder, layer.digest), layer, diffId, signal);
    }
    return verified;
  }

  /** Gives nothing where only skopeo can fetch it. */
  async #withPool(
    item: ItemName,
    { place, image, manifest }: Resolved,
    into: Folders,
  ): Promise<readonly PooledLayer[] | undefined> {
    if (place.transport !== "docker" || !manifest) return undefined;
    const { signal, store, trust } = this.context;
    const registriesConf = await trust.readRegistriesConf();
    if (registriesConf === undefined) return undefined;
    // No byte of a layer comes before the policy has let the image pass.
    const isOpen = await trust.acceptsAny(item.name, place);
    const layers = layersOf(manifest);
    const traffic = this.#traffic.open(item, sizeOfImage(manifest));
    const stop = new AbortController();
    const fetch = () =>
      this.#layers.fetch(
        { item, place, image, traffic },
        layers,
        AbortSignal.any([signal, stop.signal]),
      );
    const early = isOpen ? fetch() : undefined;
    early?.catch(() => {});
    try {
      await this.skopeo.insist(item, place, async () => {
        await makeAnew(into);
        const leftOut = { layers, registriesConf };
        await this.skopeo.copy(item, place, image, into, { leftOut });
      });
      const pooled = await (early ?? fetch());
      for (const layer of pooled) {
        await store.blobs.link(layer, blobPath(into.folder, layer.digest));
      }
      traffic.add("fetched", manifest.config.size);
      return pooled;
    } catch (error) {
      stop.abort(error);
      await early?.catch(() => {});
      traffic.forget();
      if (!(error instanceof Unserved)) throw error;
      return undefined;
    }
  }

  async #withSkopeo(
    item: ItemName,
    { place, image, manifest }: Resolved,
    into: Folders,
    platform: Platform | undefined,
  ): Promise<void> {
    await this.skopeo.insist(item, place, async () => {
      await makeAnew(into);
      const total = manifest && sizeOfImage(manifest);
      const traffic = this.#traffic.open(item, total);
      let before = 0;
      const onBytes = (bytes: number) => {
        // The folder also holds what no manifest counts, such as the file `version`.
        const now = Math.min(bytes, total ?? bytes);
        traffic.add("fetched", now - before);
        before = now;
      };
      try {
        await this.skopeo.copy(item, place, image, { ...into, onBytes }, { platform });
        if (total !== undefined) onBytes(total);
      } catch (error) {
        traffic.forget();
        throw error;
      }
    });
  }
}

/** Where a download goes. */
interface Folders {
  /** The folder of the image. */
  readonly folder: string;
  /** The workspace around it. */
  readonly work: string;
}

async function makeAnew({ folder, work }: Folders): Promise<void> {
  await Deno.remove(join(work, "archive"), { recursive: true }).catch(() => {});
  await guard(
    "make the folder",
    folder,
    () => Deno.mkdir(folder, { recursive: true, mode: 0o755 }),
  );
}
