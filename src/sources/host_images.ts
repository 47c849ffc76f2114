import { join } from "@std/path";
import { parseReference, type Platform } from "../../config/mod.ts";
import { ContentError, StageError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import type { HostImage, StageImage } from "../stage_input.ts";
import { platformOfConfig, readManifest } from "../store/manifest.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { Absence } from "../transports/absence.ts";
import { Registries } from "../transports/docker/registries.ts";
import { type Place, type StoredLocation, transportOf } from "../transports/mod.ts";
import { HASH_THREADS } from "./layers.ts";
import type { Resolved } from "./resolve.ts";
import type { Wanted as ItemOfImage } from "./wanted.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";
import { readConfig, verifyImage } from "./verify.ts";

/** What a storage says of one of its images. */
export interface KnownHostImage {
  /** Digest of the manifest, as the storage has it. */
  readonly digest: string;
  /** What it is for. */
  readonly platform: Platform;
}

type Wanted = Pick<HostImage, "id" | "names" | "storage">;

/** Images that stages read in the storages of this machine: they never get into the store. */
export class HostImages {
  readonly #skopeo: SkopeoRunner;

  /**
   * @param input Name of the input.
   * @param run The run.
   */
  constructor(private readonly input: string, private readonly run: Run) {
    this.#skopeo = new SkopeoRunner(run, new Registries(run));
  }

  /**
   * Finds an image.
   *
   * @param wanted The storage and the image id.
   * @returns What the storage says of it.
   * @throws {StageError} If the storage does not have it.
   * @throws {ContentError} If it is another image, or if the storage has another one of its name.
   */
  async look(wanted: Wanted): Promise<KnownHostImage> {
    const { digest, manifest, place } = await this.#find(wanted);
    const { id } = wanted;
    const bytes = await this.#skopeo.readConfig(this.#item, place, place.image, id);
    const config = readConfig(this.#asked(id), { digest, place }, manifest, bytes);
    return { digest, platform: platformOfConfig(config) ?? this.run.platform };
  }

  /**
   * Copies an image for a stage. The policy is asked of it, and all of it is verified: config by the
   * id, layers by the config.
   *
   * @param image The image.
   * @param folder Where it goes; not there yet.
   * @returns The copy.
   * @throws {StageError} If the storage does not have it any more.
   * @throws {ContentError} If it is not what it was.
   * @throws {PolicyError} If the policy refuses it.
   */
  async copy({ names, ...wanted }: HostImage, folder: string): Promise<StageImage> {
    const { id, platform } = wanted;
    const found = await this.#find({ ...wanted, names });
    const { place } = found;
    await using work = await this.run.scratch.part();
    const into = {
      folder: join(folder, "image"),
      work: work.path,
      anew: () => guard("make the folder", folder, () => Deno.mkdir(folder, { recursive: true })),
    };
    const copied = { place, image: place.image };
    await this.#asking(id, () => this.#skopeo.copy(this.#item, copied, into, {}));
    using digests = new DigestPool(this.run.signal, HASH_THREADS);
    const arrived = { folder: into.folder, hashed: new Map() };
    const { image } = await verifyImage(arrived, this.#asked(id), found, digests);
    const { path, digest } = image;
    return { format: "dir", path, id, digest, names, platform };
  }

  async #find(
    { id, names: [name = ""], storage }: Wanted,
  ): Promise<Pick<Resolved, "digest"> & Required<Pick<Resolved, "manifest">> & { place: Place }> {
    const reference = parseReference(name);
    const location: StoredLocation = { transport: "containers-storage", reference, storage };
    const transport = transportOf(location);
    const options = { scratch: () => this.run.scratch.folder() };
    const open = transport.openById?.bind(transport);
    if (!open) throw new TypeError(`Cannot find images of ${location.transport} by their ids`);
    const read = async (place: Place) => {
      const bytes = await this.#skopeo.readManifest(this.#item, place, place.image);
      const read = readManifest(bytes);
      if (read.kind === "image") return { manifest: read.manifest, digest: digestOf(bytes) };
      throw new ContentError(this.input, `${place.label}: it is no image`);
    };
    return await this.#asking(id, async () => {
      const place = await open(location, id, options);
      const { manifest, digest } = await read(place).catch(async (error) => {
        if (!(error instanceof Absence)) throw error;
        // Whoever has pulled it again has another one of that name.
        const named = await transport.open(location, options);
        const other = await read(named).catch(() => undefined);
        if (!other) throw error;
        throw this.#otherThan(id, other.manifest.config.digest, named.label);
      });
      const actual = manifest.config.digest;
      if (actual !== id) throw this.#otherThan(id, actual, place.label);
      return { digest, manifest, place };
    });
  }

  #otherThan(expected: string, actual: string, label: string): ContentError {
    const message = `${label} is ${actual}, and the config says ${expected}`;
    const hint = `if that is the one that is meant, it is the id for inputs.${this.input}`;
    return new ContentError(this.input, message, { expected, actual, hint });
  }

  async #asking<Value>(id: string, action: () => Promise<Value>): Promise<Value> {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof Absence)) throw error;
      throw new StageError(
        this.input,
        `the storage does not have the image ${id}: ${error.message}`,
        {
          kind: "input",
          hint: error.hint ?? "put it there, with podman pull or podman load, or see whether " +
              `inputs.${this.input} means the right storage`,
          cause: error,
        },
      );
    }
  }

  get #item(): ItemName {
    return { key: `input/${this.input}`, name: this.input };
  }

  #asked(imageId: string): Pick<ItemOfImage, "name" | "source" | "imageId"> {
    return { name: this.input, source: this.input, imageId };
  }
}
