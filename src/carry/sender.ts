import { formatReference, type Reference } from "../../config/mod.ts";
import { ContentError, PushError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import type { Run } from "../run.ts";
import { withRetry } from "../sources/with_retry.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { PlaceError } from "../transports/absence.ts";
import { RegistryError, Unserved } from "../transports/docker/errors.ts";
import type { Registries } from "../transports/docker/registries.ts";
import {
  beginUpload,
  type PassingBlob,
  type Repository,
  type Upload,
} from "../transports/docker/repository.ts";
import type { Reached, RegistryOptions } from "../transports/docker/site.ts";
import type { CarriedBlob, CarriedManifest } from "./cargo.ts";
import type { Meter } from "./meter.ts";

/** How much has to have left for a further series of tries, in bytes. */
const HEADWAY = 2 ** 20;

/** A blob that comes from elsewhere did not get there in one go. */
export class NotPassed extends Error {}

/** A repository that something is sent to, and for whom. */
export interface SendTo {
  /** What is sent. */
  readonly item: ItemName;
  /** The repository, and the name of what is sent. */
  readonly target: Reference;
  /** What is done there; it is sent there, if absent. */
  readonly action?: "push" | "prune" | "read";
}

/** Sends blobs and manifests to one registry, each blob once, however many repositories need it. */
export class Sender {
  readonly #repositories = new Map<string, Promise<Repository>>();
  /** Blobs by repository and digest. */
  readonly #here = new Map<string, Promise<void>>();
  /** The first repository that has, or is being sent, a blob. */
  readonly #first = new Map<string, { readonly path: string; readonly sent: Promise<void> }>();

  /**
   * @param registries Gives the repositories.
   * @param reach How the registry is reached for a repository.
   * @param run The run.
   * @param meter Counts bytes.
   */
  constructor(
    private readonly registries: Registries,
    private readonly reach: (target: Reference) => RegistryOptions,
    private readonly run: Pick<Run, "retry" | "emit" | "signal">,
    private readonly meter: Meter,
  ) {}

  /**
   * Finds out how the registry is reached.
   *
   * @param to A repository of it.
   * @returns The protocol, and whether it need not be a safe one.
   * @throws {PushError} If it is not reached.
   */
  async reached(to: SendTo): Promise<Reached> {
    return await this.#try(to, async () => (await this.#open(to.target)).reached());
  }

  /**
   * Asks for a blob.
   *
   * @param to The repository.
   * @param digest The blob.
   * @returns Whether it is there.
   * @throws {PushError} If the registry does not say.
   */
  async has(to: SendTo, digest: string): Promise<boolean> {
    return await this.#try(to, async () => (await this.#open(to.target)).hasBlob(digest));
  }

  /**
   * Asks what a name stands for.
   *
   * @param to The repository.
   * @param name A tag or a digest.
   * @returns The digest of what is served; `undefined` if there is nothing of that name.
   * @throws {PushError} If the registry does not say.
   */
  async find(to: SendTo, name: string): Promise<string | undefined> {
    return await this.#try(to, async () => (await this.#open(to.target)).findManifest(name));
  }

  /**
   * Reads a manifest or an index.
   *
   * @param to The repository.
   * @param name A tag or a digest.
   * @returns The bytes as served; `undefined` if there is nothing of that name.
   * @throws {PushError} If the registry does not say.
   */
  async read(to: SendTo, name: string): Promise<Uint8Array | undefined> {
    return await this.#try(to, async () => (await this.#open(to.target)).readManifest(name));
  }

  /**
   * Lists the tags of a repository.
   *
   * @param to The repository.
   * @returns The tags; none where there is no such repository.
   * @throws {PushError} If the registry does not say.
   */
  async tags(to: SendTo): Promise<string[]> {
    return await this.#try(to, async () => (await this.#open(to.target)).listTags());
  }

  /**
   * Deletes a manifest or an index.
   *
   * @param to The repository, and the digest there.
   * @returns Whether it is gone; not where the registry forbids to delete.
   * @throws {PushError} If the registry does not answer, or denies it.
   */
  async remove(to: SendTo): Promise<boolean> {
    const { digest = "" } = to.target;
    return await this.#try(to, async () => (await this.#open(to.target)).deleteManifest(digest));
  }

  /**
   * Sends a blob, unless the repository has it, or another has that it can be taken from.
   *
   * @param to The repository.
   * @param blob The blob.
   * @throws {PushError} If the registry does not take it.
   * @throws {ContentError} If the store's copy is not what its digest says.
   * @throws {NotPassed} If it comes from elsewhere and did not get there; it may be sent again.
   */
  async sendBlob(to: SendTo, blob: CarriedBlob | PassingBlob): Promise<void> {
    const key = `${to.target.path}@${blob.digest}`;
    const other = this.#here.get(key);
    if (!other) {
      const sent = this.#send(to, blob).catch((error) => {
        if (error instanceof NotPassed) this.#here.delete(key);
        throw error;
      });
      this.#here.set(key, sent);
      return await sent;
    }
    try {
      await other;
    } catch (error) {
      if (!(error instanceof NotPassed)) throw error;
      await this.sendBlob(to, blob); // what another could not pass on may come from here
    }
  }

  async #send(to: SendTo, blob: CarriedBlob | PassingBlob): Promise<void> {
    const { digest, size } = blob;
    const { path } = to.target;
    const isHere = await this.has(to, digest);
    const first = this.#first.get(digest);
    if (isHere) {
      if (!first) this.#first.set(digest, { path, sent: Promise.resolve() });
      return this.meter.add("present", size);
    }
    if (first) {
      const isSent = await first.sent.then(() => true, () => false);
      this.run.signal.throwIfAborted();
      const isMounted = isSent && await this.#try(
        to,
        async () => await (await this.#open(to.target)).mount(digest, first.path),
      );
      if (isMounted) return this.meter.add("mounted", size);
      return await this.#upload(to, blob);
    }
    const sent = this.#upload(to, blob);
    this.#first.set(digest, { path, sent });
    try {
      await sent;
    } catch (error) {
      this.#first.delete(digest);
      throw error;
    }
  }

  async #upload(to: SendTo, blob: CarriedBlob | PassingBlob): Promise<void> {
    const upload = beginUpload();
    if (!("path" in blob)) return await this.#pass(to, blob, upload);
    try {
      await this.#try(to, async () => {
        const repository = await this.#open(to.target);
        await repository.upload(blob, upload, (bytes) => this.meter.add("sent", bytes));
      }, () => upload.offset);
    } catch (error) {
      if (!(error instanceof PushError) || error.reason !== "refused") throw error;
      using digests = new DigestPool(this.run.signal, 1);
      const { digest: actual } = await digests.digest({ path: blob.path, unpack: false });
      if (actual === blob.digest) throw error;
      throw new ContentError(to.item.name, `the store has ${blob.digest} with other bytes`, {
        expected: blob.digest,
        actual,
        hint: "mend the store with stowage verify --repair",
      });
    }
  }

  /** Tries once, as it can be read once. */
  async #pass(to: SendTo, blob: PassingBlob, upload: Upload): Promise<void> {
    try {
      const repository = await this.#open(to.target);
      await repository.upload(blob, upload, (bytes) => this.meter.add("sent", bytes));
    } catch (error) {
      this.meter.add("sent", -upload.offset);
      if (this.run.signal.aborted || !(error instanceof PlaceError)) throw error;
      throw new NotPassed(error.message, { cause: error });
    }
  }

  /**
   * Asks by the registry's API whether something is listed as referring to something else.
   *
   * @param to The repository.
   * @param subject Digest of what is referred to.
   * @param digest Digest of what may refer to it.
   * @returns Whether it is; no where the registry has no such API.
   * @throws {PushError} If the registry does not say.
   */
  async lists(to: SendTo, subject: string, digest: string): Promise<boolean> {
    return await this.#try(to, async () => (await this.#open(to.target)).lists(subject, digest));
  }

  /**
   * Puts a manifest or an index under its digest or under a tag, and reads back that it is there.
   *
   * @param to The repository.
   * @param manifest The manifest.
   * @param tag The tag; its digest if absent.
   * @returns Whether the registry says that it lists it as referring to its subject.
   * @throws {PushError} If the registry does not take it, or serves something else then.
   */
  async putManifest(
    to: SendTo,
    { digest, mediaType, bytes }: CarriedManifest,
    tag: string = digest,
  ): Promise<boolean> {
    const isListed = await this.#try(
      to,
      async () => await (await this.#open(to.target)).putManifest(tag, bytes, mediaType),
    );
    const served = await this.find(to, tag);
    if (served === digest) return isListed;
    const what = served === undefined ? "does not have it" : `serves ${served}`;
    throw new PushError(
      to.item.name,
      formatReference(to.target),
      `the registry took ${digest} and ${what}`,
      {
        hint: "somebody else may have pushed to that name at the same time: run it again",
      },
    );
  }

  #open(target: Reference): Promise<Repository> {
    const opened = this.#repositories.get(target.path) ??
      this.registries.repository(target, this.reach(target));
    this.#repositories.set(target.path, opened);
    return opened;
  }

  async #try<Value>(
    { item, target, action: doing = "push" }: SendTo,
    action: () => Promise<Value>,
    progress: () => number = () => 0,
  ): Promise<Value> {
    const from = `${target.domain}/${target.path}`;
    for (;;) {
      const before = progress();
      try {
        return await withRetry({ item, from, failure: RegistryError }, this.run, action);
      } catch (error) {
        if (error instanceof RegistryError) {
          if (error.isTransient && progress() - before >= HEADWAY) continue;
          const { message, hint, reason } = error;
          throw new PushError(item.name, formatReference(target), message, {
            reason,
            hint,
            doing,
          });
        }
        if (error instanceof Unserved) {
          const denied = error.reason === "denied" && { reason: error.reason, hint: login(target) };
          throw new PushError(item.name, formatReference(target), error.message, {
            ...denied,
            doing,
          });
        }
        throw error;
      }
    }
  }
}

function login({ domain }: Reference): string {
  return `log in with \`skopeo login ${domain}\`, or name a file with --authfile, or with authFile ` +
    "under registries of the config; if that is done, these credentials may not push there";
}
