import { parseReference, type Reference } from "../../config/mod.ts";
import type { ArtifactNode, SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { layersOf, readManifest } from "../store/manifest.ts";
import { digestOf } from "../lib/fs/files.ts";
import { type BlobStream, Registries } from "../transports/docker/registries.ts";
import type { RegistryOptions } from "../transports/docker/site.ts";
import type { BundleSource } from "./bundle_format.ts";
import { waresOf } from "./gather.ts";
import { Meter } from "./meter.ts";
import type { Receipt } from "./receipt.ts";
import { Sender, type SendTo } from "./sender.ts";
import { type Destination, type NameMap, nameTarget } from "./target.ts";

/** A registry of the receiver that has what was pushed to it. */
export interface FarRequest {
  /** The registry, and the path that all names are below. */
  readonly destination: Destination;
  /** Other names there, as `push` takes them. */
  readonly maps: readonly NameMap[];
  /** How it is reached. */
  readonly how: RegistryOptions;
}

/** Asks the receiver's registry what it has, and for layers that a bundle leaves out. */
export class FarRegistry {
  readonly #sender: Sender;
  readonly #registries: Registries;
  /** The repository that has a layer. */
  readonly #found = new Map<string, Reference>();

  /**
   * @param request The registry.
   * @param run The run.
   */
  constructor(private readonly request: FarRequest, private readonly run: Run) {
    this.#registries = new Registries(run);
    const reach = (target: Reference) => run.reach(target, request.how);
    this.#sender = new Sender(this.#registries, reach, run, new Meter(() => {}, 0));
  }

  /**
   * Says what the registry has of sources, under the names that a push gives them.
   *
   * @param nodes The sources.
   * @returns What it has: of what was never pushed, nothing.
   * @throws {PushError} If it does not answer.
   * @throws {UsageError} If a source has no name there.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async receipt(nodes: readonly (SourceNode | ArtifactNode)[]): Promise<Receipt> {
    const [manifests, indexes, layers] = [new Set<string>(), new Set<string>(), new Set<string>()];
    for (const { key, name, first } of waresOf(nodes)) {
      const { destination, maps } = this.request;
      const target = nameTarget(first, destination, maps);
      const to = { item: { key, name }, target, action: "read" } as const;
      const index = first.kind === "source" ? first.lockedIndex : undefined;
      const names = [target.tag, index, first.digest].filter((each) => each !== undefined);
      for (const found of names) await this.#read(to, found, { manifests, indexes, layers });
    }
    const sorted = (digests: ReadonlySet<string>) => [...digests].sort();
    return {
      schema: 1,
      manifests: sorted(manifests),
      indexes: sorted(indexes),
      layers: sorted(layers),
    };
  }

  async #read(
    to: SendTo,
    name: string,
    into: Readonly<Record<"manifests" | "indexes" | "layers", Set<string>>>,
  ): Promise<void> {
    const bytes = await this.#sender.read(to, name);
    if (!bytes) return;
    const digest = digestOf(bytes);
    if (into.manifests.has(digest) || into.indexes.has(digest)) return;
    const found = readManifest(bytes);
    if (found.kind === "index") {
      into.indexes.add(digest);
      for (const entry of found.index.manifests) await this.#read(to, entry.digest, into);
    }
    if (found.kind !== "image") return;
    into.manifests.add(digest);
    for (const layer of layersOf(found.manifest)) {
      if (!into.layers.has(layer.digest) && await this.#sender.has(to, layer.digest)) {
        into.layers.add(layer.digest);
      }
    }
  }

  /**
   * Looks for layers in the repositories that sources of a bundle are pushed to.
   *
   * @param sources The sources.
   * @param digests The layers.
   * @returns Those that no repository has.
   * @throws {PushError} If the registry does not answer.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async findMissing(
    sources: readonly BundleSource[],
    digests: readonly string[],
  ): Promise<string[]> {
    const { destination, maps } = this.request;
    const targets = new Map(sources.flatMap(({ name, reference: text }) => {
      if (text === undefined) return [];
      const reference = parseReference(text);
      const location = { transport: "docker", reference, tlsVerify: true } as const;
      const target = nameTarget({ source: name, locations: [location] }, destination, maps);
      const item = { key: `source/${name}`, name };
      return [[target.path, { item, target, action: "read" }] as const];
    }));
    const missing: string[] = [];
    for (const digest of digests) {
      let isFound = false;
      for (const to of targets.values()) {
        if (!await this.#sender.has(to, digest)) continue;
        this.#found.set(digest, to.target);
        isFound = true;
        break;
      }
      if (!isFound) missing.push(digest);
    }
    return missing;
  }

  /**
   * Reads a layer that was found.
   *
   * @param digest The layer.
   * @param offset Where its bytes begin.
   * @returns Its bytes; `undefined` where it was not looked for.
   * @throws {Absence} If the registry does not give them.
   */
  async open(digest: string, offset: number): Promise<BlobStream | undefined> {
    const target = this.#found.get(digest);
    if (!target) return undefined;
    const { tag: _, ...repository } = target;
    const how = this.run.reach(target, this.request.how);
    const of = { reference: { ...repository, digest }, how };
    return await this.#registries.blob(of, digest, { offset, signal: this.run.signal });
  }
}
