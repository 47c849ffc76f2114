import { isDigest } from "../../../config/digest.ts";
import type { Reference } from "../../../config/reference.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { MAX_JSON } from "../../lib/json.ts";
import { notifyEnd, readAtMost } from "./body.ts";
import { EndpointList } from "./endpoint_list.ts";
import {
  NoRegistry,
  RangeRefused,
  Refused,
  RegistryError,
  Unserved,
  WrongManifest,
} from "./errors.ts";
import { HostGate } from "./host_gate.ts";
import { HttpClients } from "./http_clients.ts";
import { Logins } from "./logins.ts";
import { readRange } from "./range.ts";
import { type ListedReferrer, listReferrers } from "./referrers.ts";
import { Repository } from "./repository.ts";
import { RequestCounter, type RequestCounts } from "./requests.ts";
import { Session } from "./session.ts";
import { MANIFEST_TYPES, type RegistryOptions, type Site } from "./site.ts";
import { explainStatus } from "./status.ts";
import { listTags } from "./tag_list.ts";
import { type HttpAnswer, Requester } from "./requester.ts";

/** What a client works with. */
export interface RegistryContext {
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which a request has failed. */
  readonly stallTimeout: number;
  /** How many bytes a second an answer has at least, over as long a time; no matter if absent. */
  readonly minRate?: number;
  /** How many blobs are read side by side from one host. */
  readonly perRegistry: number;
  /** File that replaces the machine's registries.conf, as skopeo's `--registries-conf`. */
  readonly registriesConf?: string | undefined;
  /** Told when a host asks to be left alone: the host, and for how many milliseconds. */
  readonly onSlowDown?: (host: string, ms: number) => void;
}

/** What is known of a manifest or an index without reading it. */
export interface ManifestHead {
  /** Its digest, in the registry's words. */
  readonly digest: string;
  /** Its media type; empty where the registry does not say it. */
  readonly mediaType: string;
}

/** A blob, or the end of one. */
export interface BlobBody {
  /**
   * Its bytes; it has to be read to its end or cancelled. It errors with `RegistryError` where it
   * is cut or stalls, and with `InterruptedError`.
   */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Where in the blob they begin; 0 where the registry knows no ranges. */
  readonly offset: number;
  /** Size of the whole blob in bytes, where the registry says it. */
  readonly size: number | undefined;
  /**
   * Asks who sends it last from now on, as it is of no use: a mirror need not be trusted.
   *
   * @returns Whether another place may have it.
   */
  passOver(): Promise<boolean>;
}

/**
 * Reads from registries, with this machine's credentials, certificates and mirrors, as skopeo has
 * them. What it cannot serve it says, for skopeo to do it. Dispose of it when all that it gave has
 * been read.
 */
export class RegistryClient implements Disposable {
  /** How many requests were sent so far. */
  readonly requests: RequestCounts;
  readonly #clients = new HttpClients();
  readonly #gate: HostGate;
  readonly #endpoints: EndpointList;
  readonly #session: Session;

  /**
   * Makes a client; nothing is read or sent yet.
   *
   * @param context What it works with.
   */
  constructor(private readonly context: RegistryContext) {
    const { signal, stallTimeout, minRate = 0, perRegistry, registriesConf, onSlowDown } = context;
    const counter = new RequestCounter();
    this.requests = counter;
    this.#gate = new HostGate(perRegistry, onSlowDown);
    this.#endpoints = new EndpointList(registriesConf);
    const requester = new Requester(this.#clients, this.#gate, counter, { stallTimeout, minRate });
    const helpers = () => this.#endpoints.credentialHelpers();
    const logins = new Logins({ requester, helpers, signal, stallTimeout });
    this.#session = new Session(requester, logins, signal);
  }

  /**
   * Lets no request to a host pass for some time, as another process was told so.
   *
   * @param host The host.
   * @param ms For how long, in ms.
   */
  pause(host: string, ms: number): void {
    this.#gate.pause(host, ms);
  }

  /**
   * Asks what a tag stands for; one request, once the client is logged in.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @returns What the registry says, or `undefined` if it does not say the digest so, as some know
   * no HEAD.
   * @throws {RegistryError} If it wants to be left alone.
   * @throws {Unserved} If no place has it, or skopeo has to ask.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async head(reference: Reference, how: RegistryOptions): Promise<ManifestHead | undefined> {
    return await this.#endpoints.walk(reference, how, async (site, name) => {
      const answer = await this.#askManifest("heads", site, name).catch(orUndefined);
      if (!answer) return undefined;
      await answer.body.cancel();
      const digest = answer.headers.get("docker-content-digest") ?? "";
      if (!isDigest(digest)) return undefined;
      if (name.digest !== undefined && name.digest !== digest) throw lied(site, name.digest);
      return { digest, mediaType: readMediaType(answer) };
    });
  }

  /**
   * Reads a manifest or an index. A place that serves another one than the digest asks for is passed
   * over; where all do, what the last of them serves is returned, for the caller to tell of.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @returns The bytes as served, at most 4 MiB.
   * @throws {RegistryError} If no place can be reached.
   * @throws {Unserved} If no place has it, or skopeo has to ask.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async manifest(reference: Reference, how: RegistryOptions): Promise<Uint8Array> {
    try {
      return await this.#endpoints.walk(reference, how, async (site, name) => {
        const answer = await this.#askManifest("manifests", site, name);
        const bytes = await readAtMost(answer.body, MAX_JSON, `the manifest of "${answer.host}"`);
        if (name.digest === undefined || digestOf(bytes) === name.digest) return bytes;
        throw new WrongManifest(site.host, name.digest, bytes);
      });
    } catch (error) {
      if (error instanceof WrongManifest) return error.served;
      throw error;
    }
  }

  /**
   * Reads a blob. Its bytes are not checked.
   *
   * @param reference An image that has it.
   * @param digest The blob.
   * @param how How the registry is reached.
   * @param options From which byte on to read, and what ends it.
   * @returns The bytes, and where in the blob they begin.
   * @throws {RegistryError} If no place can be reached.
   * @throws {Unserved} If no place has it, or skopeo has to ask.
   * @throws {InterruptedError} If a signal is aborted.
   */
  async blob(
    reference: Reference,
    digest: string,
    how: RegistryOptions,
    options: { readonly offset?: number; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<BlobBody> {
    if (!isDigest(digest)) throw new Unserved(`"${digest}" is no digest`);
    const { offset = 0 } = options;
    const signal = options.signal
      ? AbortSignal.any([options.signal, this.context.signal])
      : this.context.signal;
    return await this.#endpoints.walk(reference, how, async (site, { domain }) => {
      const leave = await this.#gate.enter(site.host, signal);
      try {
        const blob = await this.#askBlob(site, digest, offset, signal);
        const passOver = () => this.#endpoints.passOver(reference, domain);
        return { ...blob, body: notifyEnd(blob.body, leave), passOver };
      } catch (error) {
        leave();
        throw error;
      }
    });
  }

  /**
   * Asks what refers to an image or an index. Lists change as tags do: only mirrors that may answer
   * for tags are asked, and one that has nothing is passed over.
   *
   * @param reference An image of the repository.
   * @param subject Digest of the image or the index.
   * @param how How its registry is reached.
   * @returns What refers to it.
   * @throws {RegistryError} If no place has something, and one cannot be reached.
   * @throws {Unserved} If no place has something, and one denies it.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async referrers(
    { domain, path }: Reference,
    subject: string,
    how: RegistryOptions,
  ): Promise<readonly ListedReferrer[]> {
    const { signal } = this.context;
    const byTag = { domain, path, tag: "latest" };
    let isAnswered = false;
    let failure: unknown;
    try {
      return await this.#endpoints.walk(byTag, how, async (site) => {
        try {
          const found = await listReferrers(
            (path, headers) =>
              this.#session.ask(site, { kind: "manifests", path, headers, signal }),
            site.path,
            subject,
          );
          isAnswered = true;
          if (found.length > 0) return found;
        } catch (error) {
          failure = error;
          throw error;
        }
        throw new Unserved(`"${site.host}" has nothing that refers to ${subject}`, "unknown");
      });
    } catch (error) {
      if (isAnswered && failure === undefined) return [];
      throw failure ?? error;
    }
  }

  /**
   * Lists the tags of a repository; of mirrors only those that may answer for tags are asked.
   *
   * @param reference The repository.
   * @param how How its registry is reached.
   * @returns All of them.
   * @throws {RegistryError} If no place has the repository, or one cannot be reached.
   * @throws {Unserved} If a place denies it.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async tags({ domain, path }: Reference, how: RegistryOptions): Promise<readonly string[]> {
    const { signal } = this.context;
    const byTag = { domain, path, tag: "latest" };
    return await this.#endpoints.walk(byTag, how, async (site) => {
      const ask = (path: string) => this.#session.ask(site, { kind: "manifests", path, signal });
      const tags = await listTags(ask, site.path);
      if (tags) return tags;
      throw new RegistryError("unknown", `"${site.host}" has no repository "${site.path}"`);
    });
  }

  /**
   * Tells whether an image may be asked for at several places, one of which can be named.
   *
   * @param reference The image.
   * @param text A registries.conf that another entry is added to.
   * @returns Whether it may, and no drop-in overrules that entry.
   * @throws {Unserved} If it is blocked, or registries.conf cannot be read.
   */
  async hasSeveral(reference: Reference, text: string): Promise<boolean> {
    return await this.#endpoints.hasSeveral(reference, text);
  }

  /**
   * Has another program ask one place after the other, as this client does itself.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @param ask Asks a place, where the image has a name of its own; it throws `RegistryError` for the
   * next one to be asked.
   * @returns What the first place that has it says.
   * @throws {RegistryError} If none has it.
   * @throws {Unserved} If it is blocked, or registries.conf cannot be read.
   */
  async walk<Value>(
    reference: Reference,
    how: RegistryOptions,
    ask: (name: Reference, isInsecure: boolean) => Promise<Value>,
  ): Promise<Value> {
    return await this.#endpoints.walk(
      reference,
      how,
      ({ isInsecure }, name) => ask(name, isInsecure),
    );
  }

  /**
   * Opens a repository to write to.
   *
   * @param reference An image of it.
   * @param how How its registry is reached.
   * @returns The repository; nothing is sent yet.
   * @throws {Unserved} If registries.conf blocks it.
   */
  async repository(reference: Reference, how: RegistryOptions): Promise<Repository> {
    const site = await this.#endpoints.target(reference, how);
    return new Repository(site, this.#session, this.#gate, this.context.signal);
  }

  async #askManifest(
    kind: "heads" | "manifests",
    site: Site,
    { tag = "latest", digest }: Reference,
  ): Promise<HttpAnswer> {
    const answer = await this.#session.ask(site, {
      kind,
      method: kind === "heads" ? "HEAD" : "GET",
      path: `/v2/${site.path}/manifests/${digest ?? tag}`,
      headers: { accept: MANIFEST_TYPES },
      signal: this.context.signal,
    });
    if (answer.status !== 200) throw await explainStatus(answer, `"${site.path}"`);
    // skopeo would take what is not called a manifest for one of schema version 1.
    const mediaType = readMediaType(answer);
    if (kind === "heads" || mediaType.startsWith("application/vnd.")) return answer;
    await answer.body.cancel();
    const what = /^[\w.+/-]{1,80}$/.test(mediaType) ? `"${mediaType}"` : "no media type";
    throw new NoRegistry(answer.host, `answers with ${what} in place of a manifest`);
  }

  async #askBlob(
    site: Site,
    digest: string,
    offset: number,
    signal: AbortSignal,
  ): Promise<Omit<BlobBody, "passOver">> {
    const answer = await this.#session.ask(site, {
      kind: "blobs",
      path: `/v2/${site.path}/blobs/${digest}`,
      ...offset > 0 && { headers: { range: `bytes=${offset}-` } },
      signal,
    });
    const range = readRange(answer, offset);
    if (range) return { ...range, body: answer.body };
    const error = await explainStatus(answer, `a blob of "${site.path}"`);
    if (offset === 0) throw error;
    // Who has no such part, gives another one, or does not like to be asked, may have the whole.
    const isOther = error instanceof Unserved || error instanceof NoRegistry;
    if (isOther) return await this.#askBlob(site, digest, 0, signal);
    const { reason, message, isTransient } = error;
    throw reason === "rate-limited" ? error : new RangeRefused(reason, message, { isTransient });
  }

  /** Closes all connections. */
  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
  }
}

/** Who fails to say what a tag stands for may serve it; but not who wants to be left alone. */
function orUndefined(error: unknown): undefined {
  const isFailure = error instanceof RegistryError && error.reason !== "rate-limited";
  if (!isFailure || error instanceof Refused) throw error;
}

/** A name and nothing else: parameters such as `charset` mean nothing here. */
function readMediaType({ headers }: HttpAnswer): string {
  return headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
}

function lied({ host }: Site, digest: string): Unserved {
  return new Unserved(`"${host}" answers with what is not ${digest}`);
}
