import { digestOf } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { MAX_JSON } from "../../lib/json.ts";
import { readAtMost } from "./body.ts";
import { Unserved } from "./errors.ts";
import type { HostGate } from "./host_gate.ts";
import type { RegistryRequest, Session } from "./session.ts";
import { listByApi, referrersTag } from "./referrers.ts";
import { MANIFEST_TYPES, type Reached, type Site } from "./site.ts";
import { explainStatus } from "./status.ts";
import { listTags } from "./tag_list.ts";
import type { HttpAnswer } from "./requester.ts";

export { referrersTag };

/** docker-registry says so while another writes what the manifest names: it reads half of a link. */
const HALF_WRITTEN = ["DIGEST_INVALID"];

/** A blob to upload. */
export interface OutgoingBlob {
  /** Its digest. */
  readonly digest: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its file. */
  readonly path: string;
}

/** A blob that is uploaded while it comes from elsewhere. */
export interface PassingBlob {
  /** Its digest. */
  readonly digest: string;
  /** Its size in bytes. */
  readonly size: number;
  /**
   * Reads it, once.
   *
   * @param onBytes Takes how many bytes have come.
   * @returns Its bytes; it errors where they are not those of the digest.
   */
  read(onBytes: (bytes: number) => void): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** An upload that may be taken up again where it was cut. */
export interface Upload {
  /** Where the registry takes it; absent before it has begun. */
  location?: string | undefined;
  /** How many bytes the registry has of it. */
  offset: number;
  /** Whether it is sent in pieces: the whole was cut, or is too much for one request. */
  isInPieces: boolean;
  /** How much goes with one request then, in bytes. */
  readonly piece: number;
}

/** So much goes with one request where the whole blob does not, in bytes. */
const PIECE = 16 * 2 ** 20;

/**
 * Begins an upload.
 *
 * @param piece How much goes with one request where the whole does not, in bytes.
 * @returns The upload; nothing is sent yet.
 */
export function beginUpload(piece: number = PIECE): Upload {
  return { offset: 0, isInPieces: false, piece };
}

/** Up to this size a blob goes along with the request that ends its upload, in bytes. */
const WHOLE = 2 ** 20;
/** How much is read at a time, in bytes. */
const CHUNK = 256 * 1024;

/**
 * A repository that is written to, after
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
 */
export class Repository {
  readonly #site: Site;

  /**
   * @param site The repository.
   * @param session Asks its registry.
   * @param gate Limits what is sent side by side.
   * @param signal Ends everything.
   */
  constructor(
    site: Site,
    private readonly session: Session,
    private readonly gate: HostGate,
    private readonly signal: AbortSignal,
  ) {
    this.#site = { ...site, scopes: [`repository:${site.path}:pull,push`] };
  }

  /** Its path in the registry. */
  get path(): string {
    return this.#site.path;
  }

  /**
   * Finds out how its registry is reached.
   *
   * @returns The protocol, and whether it need not be a safe one.
   * @throws {RegistryError} If the registry cannot be reached.
   */
  async reached(): Promise<Reached> {
    const { isInsecure } = this.#site;
    return { scheme: await this.session.schemeOf(this.#site), isInsecure };
  }

  /**
   * Asks for a blob.
   *
   * @param digest The blob.
   * @returns Whether the repository has it.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies the repository.
   */
  async hasBlob(digest: string): Promise<boolean> {
    return await this.#enter(async () => {
      const answer = await this.#ask({ method: "HEAD", path: this.#blobs(digest) });
      if ([200, 404].includes(answer.status)) {
        await answer.body.cancel();
        return answer.status === 200;
      }
      throw await explainStatus(answer, `a blob of "${this.path}"`);
    });
  }

  /**
   * Asks for a manifest.
   *
   * @param name Its tag or its digest.
   * @returns The digest of what is served; `undefined` if there is nothing of that name.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies the repository.
   */
  async findManifest(name: string): Promise<string | undefined> {
    const bytes = await this.readManifest(name);
    return bytes && digestOf(bytes);
  }

  /**
   * Reads a manifest.
   *
   * @param name Its tag or its digest.
   * @returns Its bytes; `undefined` if there is nothing of that name.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies the repository.
   */
  async readManifest(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const path = `/v2/${this.path}/manifests/${name}`;
    const answer = await this.#ask({ path, headers: { accept: MANIFEST_TYPES } });
    if (answer.status === 404) {
      await answer.body.cancel();
      return undefined;
    }
    if (answer.status !== 200) throw await explainStatus(answer, `"${this.path}"`);
    return await readAtMost(answer.body, MAX_JSON, `the manifest of "${answer.host}"`);
  }

  /**
   * Lists its tags, over as many pages as the registry has.
   *
   * @returns The tags; none where there is no such repository.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies the repository, or its list is none.
   */
  async listTags(): Promise<string[]> {
    return await listTags((path) => this.#ask({ path }), this.path) ?? [];
  }

  /**
   * Deletes a manifest or an index, with all of its tags.
   *
   * @param digest Its digest.
   * @returns Whether it is gone; not where the registry forbids to delete.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies the repository.
   */
  async deleteManifest(digest: string): Promise<boolean> {
    const site = { ...this.#site, scopes: [`repository:${this.path}:pull,push,delete`] };
    const path = `/v2/${this.path}/manifests/${digest}`;
    const answer = await this.#ask({ method: "DELETE", path }, site);
    if (![200, 202, 204, 404, 405].includes(answer.status)) {
      throw await explainStatus(answer, `deleting a manifest of "${this.path}"`);
    }
    await answer.body.cancel();
    return answer.status !== 405;
  }

  /**
   * Asks by the registry's API whether something is listed as referring to something else.
   *
   * @param subject Digest of what is referred to.
   * @param digest Digest of what may refer to it.
   * @returns Whether it is; no where the registry has no such API.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies the repository.
   */
  async lists(subject: string, digest: string): Promise<boolean> {
    const ask = (path: string, headers: Readonly<Record<string, string>>) =>
      this.#ask({ path, headers });
    const listed = await listByApi(ask, this.path, subject);
    return listed?.some((one) => one.digest === digest) ?? false;
  }

  /**
   * Asks the registry to take a blob from another of its repositories.
   *
   * @param digest The blob.
   * @param from Path of a repository that has it.
   * @returns Whether it did; who may not read there gets nothing.
   * @throws {RegistryError} If the registry cannot be reached.
   */
  async mount(digest: string, from: string): Promise<boolean> {
    const { scopes = [], ...site } = this.#site;
    const both = { ...site, scopes: [...scopes, `repository:${from}:pull`] };
    const query = new URLSearchParams({ mount: digest, from });
    const path = `/v2/${this.path}/blobs/uploads/?${query}`;
    try {
      return await this.#enter(async () => {
        const answer = await this.#ask({ method: "POST", path }, both);
        await answer.body.cancel();
        return answer.status === 201;
      });
    } catch (error) {
      if (error instanceof Unserved) return false;
      throw error;
    }
  }

  /**
   * Uploads a blob, or what is missing of it.
   *
   * @param blob The blob; the registry compares it with its digest.
   * @param upload An upload that was cut, or a new one; it is kept up to date. What comes from
   * elsewhere takes a new one.
   * @param onBytes Takes how many bytes are on their way; fewer than 0 takes back what was lost.
   * @throws {RegistryError} If the registry cannot be reached, or the upload is cut.
   * @throws {Unserved} If the registry refuses it.
   */
  async upload(
    blob: OutgoingBlob | PassingBlob,
    upload: Upload,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const { size, digest } = blob;
    const move = (offset: number) => {
      const moved = offset - upload.offset;
      upload.offset = offset;
      if (moved !== 0) onBytes(moved);
    };
    await this.#enter(async () => {
      if (upload.location !== undefined) upload.isInPieces = true;
      move(await this.#takeUp(upload));
      const what = `the upload of a blob to "${this.path}"`;
      const type = { "content-type": "application/octet-stream" };
      while (size > WHOLE && upload.offset < size) {
        const from = upload.offset;
        const end = upload.isInPieces ? Math.min(from + upload.piece, size) : size;
        let turn = 0;
        const answer = await this.#ask({
          method: "PATCH",
          path: upload.location ?? "",
          headers: { ...type, ...upload.isInPieces && { "content-range": `${from}-${end - 1}` } },
          // It is asked for anew where the login has expired.
          body: (onChunk) => {
            const own = ++turn;
            move(from);
            const onRead = (bytes: number) => {
              if (own !== turn) return;
              onChunk();
              move(upload.offset + bytes);
            };
            return "path" in blob ? read(blob.path, from, end, onRead) : blob.read(onRead);
          },
        }).finally(() => turn++); // An answer may come before the last was read.
        const isTooLarge = answer.status === 413 && !upload.isInPieces;
        if (!isTooLarge && ![201, 202, 204].includes(answer.status)) {
          throw await explainStatus(answer, what);
        }
        await answer.body.cancel();
        if (isTooLarge) {
          Object.assign(upload, { location: undefined, isInPieces: true });
          move(await this.#takeUp(upload));
        } else {
          upload.location = locationOf(answer) ?? upload.location;
          move(receivedOf(answer) || end);
        }
      }
      const rest = upload.offset < size ? await readSmall(blob) : undefined;
      const ended = await this.#ask({
        method: "PUT",
        path: withDigest(upload.location ?? "", digest),
        headers: type,
        ...rest && { body: () => rest },
      });
      if (![201, 202, 204].includes(ended.status)) throw await explainStatus(ended, what);
      await ended.body.cancel();
      if (rest) move(rest.length);
    });
  }

  /** Where an upload was cut is for the registry to say; one that it has forgotten begins anew. */
  async #takeUp(upload: Upload): Promise<number> {
    if (upload.location !== undefined) {
      const answer = await this.#ask({ path: upload.location });
      await answer.body.cancel();
      const received = answer.status === 204 ? receivedOf(answer) : 0;
      if (received > 0) {
        upload.location = locationOf(answer) ?? upload.location;
        return received;
      }
    }
    const begun = await this.#ask({ method: "POST", path: `/v2/${this.path}/blobs/uploads/` });
    if (begun.status !== 202) throw await explainStatus(begun, `an upload to "${this.path}"`);
    await begun.body.cancel();
    upload.location = locationOf(begun);
    if (upload.location !== undefined) return 0;
    throw new Unserved(`"${begun.host}" does not say where to upload to`);
  }

  /**
   * Puts a manifest or an index into the repository; all that it names has to be there.
   *
   * @param name Its tag or its digest.
   * @param bytes Its bytes.
   * @param mediaType Its media type.
   * @returns Whether the registry says (`OCI-Subject`) that it lists it as referring to its subject.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If the registry refuses it.
   */
  async putManifest(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    mediaType: string,
  ): Promise<boolean> {
    const answer = await this.#ask({
      method: "PUT",
      path: `/v2/${this.path}/manifests/${name}`,
      headers: { "content-type": mediaType },
      body: () => bytes,
    });
    if (![200, 201, 202].includes(answer.status)) {
      throw await explainStatus(answer, `a manifest of "${this.path}"`, HALF_WRITTEN);
    }
    await answer.body.cancel();
    return answer.headers.has("oci-subject");
  }

  #blobs(digest: string): string {
    return `/v2/${this.path}/blobs/${digest}`;
  }

  #ask(request: Omit<RegistryRequest, "kind" | "signal">, site = this.#site): Promise<HttpAnswer> {
    return this.session.ask(site, { ...request, kind: "uploads", signal: this.signal });
  }

  async #enter<Value>(action: () => Promise<Value>): Promise<Value> {
    const leave = await this.gate.enter(this.#site.host, this.signal);
    try {
      return await action();
    } finally {
      leave();
    }
  }
}

function locationOf({ headers }: HttpAnswer): string | undefined {
  return headers.get("location") ?? undefined;
}

/** How many bytes a registry has of an upload; both nothing and one byte are "0-0". */
function receivedOf({ headers }: HttpAnswer): number {
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
  return last > 0 ? last + 1 : 0;
}

/** The location may have a query of its own, which is the registry's. */
function withDigest(location: string, digest: string): string {
  return `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
}

async function readSmall(blob: OutgoingBlob | PassingBlob): Promise<Uint8Array<ArrayBuffer>> {
  if ("path" in blob) return await readOutside(blob.path);
  return new Uint8Array(await new Response(blob.read(() => {})).arrayBuffer());
}

function read(
  path: string,
  from: number,
  end: number,
  onBytes: (bytes: number) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let file: Deno.FsFile | undefined;
  let left = end - from;
  const close = () => {
    file?.close();
    file = undefined;
  };
  return new ReadableStream({
    async pull(controller) {
      try {
        if (!file) {
          file = await Deno.open(path);
          await file.seek(from, Deno.SeekMode.Start);
        }
        const chunk = new Uint8Array(Math.min(CHUNK, left));
        const length = left > 0 ? await file.read(chunk) : null;
        if (length === null) {
          close();
          return controller.close();
        }
        left -= length;
        onBytes(length);
        controller.enqueue(chunk.subarray(0, length));
      } catch (error) {
        close();
        throw error;
      }
    },
    cancel: close,
  }, { highWaterMark: 0 });
}
