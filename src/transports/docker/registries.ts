import type { Reference } from "../../../config/mod.ts";
import { ContentError, PolicyError, type StowageError } from "../../errors/mod.ts";
import { Absence, PlaceError } from "../absence.ts";
import { type ManifestHead, RegistryClient } from "./client.ts";
import { RegistryError, Unserved } from "./errors.ts";
import type { ListedReferrer } from "./referrers.ts";
import type { Repository } from "./repository.ts";
import type { RegistryOptions } from "./site.ts";
import type { Emit } from "../../events.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { concat } from "../../lib/bytes.ts";
import { MAX_JSON } from "../../lib/json.ts";
import type { RegistriesConf } from "../../tools/skopeo.ts";
import type { Scratch } from "../../store/scratch.ts";
import type { Trust } from "../../trust/trust.ts";

export type { ListedReferrer };

/** Configs have a few KiB, and many are read at once. */
const CONFIG_PIECE = 16 * 2 ** 10;

/** The bytes of a blob, as they come. */
export interface BlobStream {
  /** Where in the blob they begin. */
  readonly offset: number;
  /** Size of the whole blob in bytes, where the registry says it. */
  readonly size: number | undefined;
  /**
   * Reads them.
   *
   * @param size How many at a time, at most.
   * @returns The pieces; each counts only until the next one is asked for.
   * @throws {Absence} If they are cut.
   */
  read(size: number): AsyncIterable<Uint8Array>;
  /**
   * Asks who sends them last from now on, as they are of no use.
   *
   * @returns Whether another place may have them.
   */
  passOver(): Promise<boolean>;
}

/** What asking registries takes. */
export interface RegistryContext {
  /** Whom to trust; it says what registries.conf says. */
  readonly trust: Trust;
  /** Closes the client when the run ends. */
  readonly scratch: Scratch;
  /** Takes events. */
  readonly emit: Emit;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** How many blobs are read side by side from one registry. */
  readonly perRegistry: number;
  /** How long a registry may give no byte, in ms. */
  readonly stallTimeout: number;
  /** How many bytes a second it has to give at least. */
  readonly minRate: number;
  /** Other processes that ask the same registries; absent where there are none. */
  readonly fleet?: {
    pause(host: string, ms: number): void;
    listen(onPause: (host: string, ms: number) => void): Disposable;
  };
}

/**
 * What registries give without skopeo. What this cannot do (an auth scheme that it does not know, a
 * certificate that it does not trust), skopeo does, and it says what is wrong where that fails too.
 */
export class Registries {
  #client: Promise<RegistryClient> | undefined;

  /**
   * @param context What the run gives.
   */
  constructor(private readonly context: RegistryContext) {}

  /**
   * Reads a manifest.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @returns The bytes as served; or why not, where skopeo is to be asked.
   * @throws {Absence} If the registry does not give them.
   */
  async manifest(
    reference: Reference,
    how: RegistryOptions,
  ): Promise<{ readonly bytes: Uint8Array } | { readonly unserved: PlaceError }> {
    try {
      return { bytes: await (await this.#open()).manifest(reference, how) };
    } catch (error) {
      if (error instanceof Unserved) return { unserved: error };
      throw error;
    }
  }

  /**
   * Asks what a tag stands for, without reading it.
   *
   * @param reference The image.
   * @param how How its registry is reached.
   * @returns Its digest and its media type; `undefined` if the registry does not say the digest.
   * @throws {Absence} If the registry does not answer.
   */
  async headOfTag(reference: Reference, how: RegistryOptions): Promise<ManifestHead | undefined> {
    return await this.#ask((client) => client.head(reference, how));
  }

  /**
   * Reads a blob.
   *
   * @param of An image that has it, and how its registry is reached.
   * @param digest The blob's digest.
   * @param options Where it is to begin; and what ends it.
   * @returns The bytes.
   * @throws {Absence} If the registry does not give them.
   * @throws {Unserved} If only skopeo can read them.
   */
  async blob(
    { reference, how }: { readonly reference: Reference; readonly how: RegistryOptions },
    digest: string,
    options: { readonly offset: number; readonly signal: AbortSignal },
  ): Promise<BlobStream> {
    const client = await this.#open();
    const { body, ...blob } = await client.blob(reference, digest, how, options);
    return { ...blob, read: (size) => readInto(body, size) };
  }

  /**
   * Asks what refers to an image or an index.
   *
   * @param reference An image of the repository.
   * @param subject Digest of the image or the index.
   * @param how How its registry is reached.
   * @returns What refers to it.
   * @throws {Absence} If the registry does not answer.
   * @throws {Unserved} If it denies it, or is reached in a way that is not known here.
   */
  async referrers(
    reference: Reference,
    subject: string,
    how: RegistryOptions,
  ): Promise<readonly ListedReferrer[]> {
    return await (await this.#open()).referrers(reference, subject, how);
  }

  /**
   * Lists the tags of a repository.
   *
   * @param reference The repository.
   * @param how How its registry is reached.
   * @returns All of them.
   * @throws {Absence} If the registry does not answer, or has no such repository.
   * @throws {Unserved} If it denies it, or is reached in a way that is not known here.
   */
  async tags(reference: Reference, how: RegistryOptions): Promise<readonly string[]> {
    return await (await this.#open()).tags(reference, how);
  }

  /**
   * Has skopeo ask one place of an image after the other, where there are several: by itself it would
   * take the first one that has the manifest for one that has all.
   *
   * @param of The image, and how its registry is reached.
   * @param conf What skopeo is told of registries.
   * @param ask Runs it with what it is told of one place alone; throws `Absence` where that does not
   * give the image.
   * @returns What `ask` returns, and the repository that has given it, where it is another than the
   * image's own; `undefined` where there is one place only.
   * @throws {Absence} If no place gives it.
   * @throws {StowageError} If what one gives is wrong, and no other gives it.
   */
  async walk<Value>(
    { reference, how }: { readonly reference: Reference; readonly how: RegistryOptions },
    conf: RegistriesConf,
    ask: (conf: RegistriesConf) => Promise<Value>,
  ): Promise<{ readonly value: Value; readonly mirror?: string } | undefined> {
    const own = nameOf(reference);
    const isSeveral = await this.#ask((client) => client.hasSeveral(reference, conf.text));
    if (!isSeveral || LISTED_AT_ONCE.test(conf.text)) return undefined;
    const client = await this.#open();
    let wrong: StowageError | undefined;
    try {
      return await client.walk(reference, how, async (name, isInsecure) => {
        const mirror = nameOf(name);
        const where = mirror === own ? "the registry itself" : `the mirror "${mirror}"`;
        try {
          const value = await ask(onlyAt(conf, own, mirror, isInsecure));
          return { value, ...(mirror !== own && { mirror }) };
        } catch (error) {
          if (error instanceof Absence) {
            const { reason, isTransient, hint, isOfManifest } = error;
            const message = `${where}: ${error.message}`;
            throw new RegistryError(reason, message, { isTransient, hint, isOfManifest });
          }
          // A mirror need not be trusted: what it has spoiled, another place may have.
          if (!(error instanceof ContentError || error instanceof PolicyError)) throw error;
          wrong ??= error;
          throw new Unserved(`${where} gives what is not right`);
        }
      });
    } catch (error) {
      throw wrong && error instanceof PlaceError ? wrong : error;
    }
  }

  /**
   * Opens a repository to write to.
   *
   * @param reference An image of it.
   * @param how How its registry is reached.
   * @returns The repository; nothing is sent yet.
   * @throws {Unserved} If this machine blocks it.
   */
  async repository(reference: Reference, how: RegistryOptions): Promise<Repository> {
    return await (await this.#open()).repository(reference, how);
  }

  /**
   * Reads the config of an image.
   *
   * @param of The image, and how its registry is reached.
   * @param id Digest of the config.
   * @returns The bytes, which have that digest; `undefined` if only skopeo can read them, or nobody
   * serves them.
   * @throws {Absence} If the registry does not give them.
   */
  async config(
    of: { readonly reference: Reference; readonly how: RegistryOptions },
    id: string,
  ): Promise<Uint8Array | undefined> {
    try {
      while (true) {
        const { read, passOver } = await this.blob(of, id, {
          offset: 0,
          signal: this.context.signal,
        });
        const bytes = await readAll(read(CONFIG_PIECE));
        if (bytes && digestOf(bytes) === id) return bytes;
        if (!await passOver()) return undefined;
      }
    } catch (error) {
      if (error instanceof Unserved) return undefined;
      throw error;
    }
  }

  async #ask<Value>(action: (client: RegistryClient) => Promise<Value>) {
    try {
      return await action(await this.#open());
    } catch (error) {
      if (error instanceof Unserved) return undefined;
      throw error;
    }
  }

  #open(): Promise<RegistryClient> {
    return this.#client ??= (async () => {
      const { signal, stallTimeout, minRate, perRegistry, trust, scratch, emit, fleet } =
        this.context;
      const { registriesConf } = await trust.reach();
      let isTold = false;
      const client = scratch.use(
        new RegistryClient({
          signal,
          stallTimeout,
          minRate,
          perRegistry,
          ...(registriesConf && { registriesConf }),
          onSlowDown: (host, ms) => {
            const message = `"${host}" asks to be left alone for ${Math.ceil(ms / 1000)} s`;
            emit({ type: "notice", code: "REGISTRY_BUSY", message });
            if (!isTold) fleet?.pause(host, ms);
          },
        }),
      );
      const listening = fleet?.listen((host, ms) => {
        isTold = true;
        client.pause(host, ms);
        isTold = false;
      });
      if (listening) scratch.use(listening);
      return client;
    })();
  }
}

/** A list that cannot be added to, https://toml.io/en/v1.0.0#array-of-tables */
const LISTED_AT_ONCE = /^\s*["']?registry["']?\s*[=.]/m;
const FIRST = /^[ \t]*\[\[\s*["']?registry["']?\s*\]\]/m;

function nameOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/**
 * Adds an entry for one repository before all that fits less well. Of two for the same one skopeo
 * takes the first or the last, as its version has it.
 */
function onlyAt(
  { path, text }: RegistriesConf,
  own: string,
  at: string,
  isInsecure: boolean,
): RegistriesConf {
  const [prefix, location] = [own, at].map((name) => JSON.stringify(name));
  const lines = [`prefix = ${prefix}`, `location = ${location}`, `insecure = ${isInsecure}`];
  const entry = ["[[registry]]", ...lines, ""].join("\n");
  const first = text.replace(FIRST, (header) => `${entry}\n${header}`);
  return { path, text: `${first}\n\n${entry}` };
}

/** All pieces are read into the same memory. */
async function* readInto(
  body: ReadableStream<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(size);
  try {
    while (true) {
      const { value } = await reader.read(new Uint8Array(buffer));
      if (!value?.length) return;
      yield value;
      buffer = value.buffer;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Nothing where there is more than a config may have. */
async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > MAX_JSON) return undefined;
    parts.push(piece.slice());
  }
  return concat(...parts);
}
