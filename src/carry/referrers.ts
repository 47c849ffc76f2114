import { formatReference } from "../../config/mod.ts";
import * as v from "valibot";
import { PushError } from "../errors/mod.ts";
import type { Emit, PushedReferrer } from "../events.ts";
import { KeyedMutex } from "../lib/async/keyed_mutex.ts";
import { digestOf } from "../lib/fs/files.ts";
import { readManifest } from "../store/manifest.ts";
import { referrersTag } from "../transports/docker/repository.ts";
import type { CarriedReferrer } from "./cargo.ts";
import type { Sender, SendTo } from "./sender.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

/** What others have put into a list stays as it is. */
const ListSchema = v.looseObject({
  manifests: v.array(v.looseObject({ digest: v.string() })),
});
const AnnotatedSchema = v.looseObject({
  annotations: v.fallback(v.optional(v.record(v.string(), v.string())), undefined),
});

/**
 * Sends what refers to images and indexes, once these are there, after
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject
 */
export class ReferrerSender {
  readonly #turns = new KeyedMutex();

  /**
   * @param sender Sends blobs and manifests.
   * @param emit Takes events.
   */
  constructor(private readonly sender: Sender, private readonly emit: Emit) {}

  /**
   * Sends referrers, one after the other; their blobs are there.
   *
   * @param to The repository that has what they refer to.
   * @param referrers The referrers.
   * @returns What became of each.
   * @throws {PushError} If the registry does not take one.
   */
  async send(to: SendTo, referrers: readonly CarriedReferrer[]): Promise<PushedReferrer[]> {
    const sent: PushedReferrer[] = [];
    for (const referrer of referrers) {
      const { subject, digest, kind, tag } = referrer;
      const status = tag === undefined
        ? await this.#sendListed(to, referrer)
        : await this.#sendTagged(to, referrer, tag);
      sent.push({ subject, digest, kind, status, ...(tag && { tag }) });
    }
    return sent;
  }

  async #sendListed(to: SendTo, referrer: CarriedReferrer): Promise<PushedReferrer["status"]> {
    const { subject, digest } = referrer;
    const isThere = await this.sender.find(to, digest) === digest;
    const isListed = isThere
      ? await this.sender.lists(to, subject, digest)
      : await this.sender.putManifest(to, referrer);
    const isNew = !isListed && await this.#list(to, referrer);
    return isThere && !isNew ? "present" : "pushed";
  }

  /** What others have signed there must not be lost. */
  async #sendTagged(
    to: SendTo,
    referrer: CarriedReferrer,
    tag: string,
  ): Promise<PushedReferrer["status"]> {
    const there = await this.sender.read(to, tag);
    if (there && digestOf(there) === referrer.digest) return "present";
    const own = new Set(referrer.blobs.map(({ digest }) => digest));
    const read = there && readManifest(there);
    const isOlder = read?.kind === "image" &&
      read.manifest.layers.every(({ digest }) => own.has(digest));
    if (!there || isOlder) {
      await this.sender.putManifest(to, referrer, tag);
      return "pushed";
    }
    const { domain, path } = to.target;
    const message = `"${domain}/${path}:${tag}" stays as it is, as it has what that of ` +
      `"${to.item.name}" has not: remove it there, if it is not meant`;
    this.emit({ type: "notice", code: "REFERRER_LEFT", message });
    return "left";
  }

  /** Where the registry has no API, a tag has the list; tells whether it was not in it. */
  async #list(to: SendTo, referrer: CarriedReferrer): Promise<boolean> {
    const { subject, digest, mediaType, artifactType, bytes } = referrer;
    const tag = referrersTag(subject);
    return await this.#turns.take(`${to.target.path}:${tag}`, async () => {
      const before = await this.sender.read(to, tag);
      const list = before ? readList(to, tag, before) : { schemaVersion: 2, mediaType: INDEX };
      const manifests = "manifests" in list ? list.manifests : [];
      if (manifests.some((one) => one.digest === digest)) return false;
      const { annotations } = v.parse(AnnotatedSchema, JSON.parse(decode(bytes)));
      const size = bytes.length;
      const entry = { mediaType, digest, size, artifactType, ...(annotations && { annotations }) };
      const next = encode(JSON.stringify({ ...list, manifests: [...manifests, entry] }));
      const index = { digest: digestOf(next), mediaType: INDEX, bytes: next };
      await this.sender.putManifest(to, index, tag);
      return true;
    });
  }
}

function readList(to: SendTo, tag: string, bytes: Uint8Array): v.InferOutput<typeof ListSchema> {
  const read = readManifest(bytes);
  const list = read.kind === "index" && read.index.mediaType === INDEX
    ? v.safeParse(ListSchema, JSON.parse(decode(bytes)))
    : undefined;
  if (list?.success) return list.output;
  const message = `its tag "${tag}", which is for a list of referrers, stands for something else`;
  throw new PushError(to.item.name, formatReference(to.target), message, {
    hint: "remove that tag there, if it is not meant",
  });
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
