import { join } from "@std/path";
import type { Run } from "../run.ts";
import type { Platform } from "../../config/mod.ts";
import { InterruptedError, ToolError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import type { ManifestHead } from "../transports/docker/client.ts";
import type { DirImageData } from "../store/image.ts";
import { FairLimit } from "../lib/async/fair_limit.ts";
import { guard } from "../lib/fs/files.ts";
import { Pipes } from "../tools/pipes.ts";
import type { ProcessResult } from "../tools/process.ts";
import {
  copyToDir,
  copyWithoutLayers,
  inspectConfig,
  inspectRaw,
  type LeftOut,
  type RegistriesConf,
  type SkopeoOptions,
} from "../tools/skopeo.ts";
import { Absence } from "../transports/absence.ts";
import type { Place, PlaceImage } from "../transports/mod.ts";
import type { Resolved } from "./resolve.ts";
import type { Registries } from "../transports/docker/registries.ts";
import type { Subject } from "../trust/policy.ts";
import { acceptsStored } from "./accepts.ts";
import { type Watched, watchFolders } from "./watch.ts";
import { withRetry } from "./with_retry.ts";

/** What a copy may take. */
export interface CopyOptions {
  /** The platform to choose, where skopeo has to. */
  readonly platform?: Platform | undefined;
  /** What is left out. */
  readonly leftOut?: LeftOut;
}

/** Where a copy goes. */
export interface CopyInto {
  /** The folder. */
  readonly folder: string;
  /** The folder of all that is written. */
  readonly work: string;
  /** Makes room for it, as it must not be there. */
  anew(): Promise<void>;
  /** Takes how many bytes have come. */
  onBytes?(bytes: number): void;
}

/** Gives bytes that were read. */
type Kept = () => Promise<Uint8Array>;

/** For each of a run's jobs: what only asks waits for answers most of its time. */
const QUESTIONS = 2;

/** Runs skopeo as a run of stowage needs it: watched, tried again, its failures explained. */
export class SkopeoRunner {
  readonly #manifests = new Map<string, Promise<Kept>>();
  readonly #configs = new Map<string, Promise<Kept>>();
  readonly #heads = new Map<string, Promise<ManifestHead | undefined>>();
  readonly #pipes: Pipes;
  /** Those that copy whole images. */
  readonly #copies: FairLimit;
  /** Those that only ask. */
  readonly #questions: FairLimit;
  #manifestReads = 0;

  /**
   * @param run The run.
   * @param registries Gives what registries give without skopeo.
   */
  constructor(
    private readonly run: Run,
    private readonly registries: Registries,
  ) {
    this.#pipes = new Pipes(() => run.scratch.folder());
    this.#copies = new FairLimit(run.jobs);
    this.#questions = new FairLimit(QUESTIONS * run.jobs);
  }

  /** How many manifests were read from registries. */
  get manifestReads(): number {
    return this.#manifestReads;
  }

  /**
   * Reads a manifest, each once, so that a tag stands for one thing in all of a run.
   *
   * @param item The item.
   * @param place The place that has it.
   * @param image The image.
   * @returns The bytes as served.
   * @throws {Absence} If the place does not have it.
   * @throws {StowageError} If the item is at its end.
   */
  async readManifest(item: ItemName, place: Place, image: PlaceImage): Promise<Uint8Array> {
    const key = JSON.stringify([image.skopeo, place.how]);
    return await this.#readOnce(this.#manifests, key, () => this.#askManifest(item, place, image));
  }

  #askManifest(item: ItemName, place: Place, image: PlaceImage): Promise<Uint8Array> {
    return this.withRetry(item, place, async () => {
      if (!image.inRegistry) return await this.#inspect(item, { place, image });
      this.#manifestReads++;
      const read = await this.registries.manifest(image.inRegistry, place.how);
      if ("bytes" in read) return read.bytes;
      this.#manifestReads++; // by skopeo, now
      try {
        return await this.#inspect(item, { place, image });
      } catch (error) {
        const { reason, message } = read.unserved;
        // skopeo tells neither the status nor the words of errors that registries have made up.
        const saysNothing = error instanceof Absence && error.message.endsWith(": unknown");
        if (!saysNothing || reason === "unsupported") throw error;
        throw new Absence(reason, message, { isOfManifest: true });
      }
    });
  }

  async #inspect(
    item: ItemName,
    { place, image }: { readonly place: Place; readonly image: PlaceImage },
  ): Promise<Uint8Array> {
    await using work = await this.run.scratch.part();
    const watched = { work: work.path };
    const { stdout } = await this.#run(item, { place, image }, watched, async (options) => {
      const trust = await this.run.trust.reach();
      return await inspectRaw(image.skopeo, place.how, { ...options, trust });
    });
    return stdout;
  }

  /**
   * Reads the config of an image, each once.
   *
   * @param item The item.
   * @param place The place that has it.
   * @param image The image, which is one, and no index.
   * @param id Digest of the config.
   * @returns The bytes; whoever serves others is passed over.
   * @throws {Absence} If the place does not have them.
   * @throws {StowageError} If the item is at its end.
   */
  async readConfig(
    item: ItemName,
    place: Place,
    image: PlaceImage,
    id: string,
  ): Promise<Uint8Array> {
    const key = JSON.stringify([image.skopeo, place.how]);
    return await this.#readOnce(this.#configs, key, () => this.#askConfig(item, place, image, id));
  }

  #askConfig(item: ItemName, place: Place, image: PlaceImage, id: string): Promise<Uint8Array> {
    return this.withRetry(item, place, async () => {
      const { how } = place;
      const reference = image.inRegistry;
      const bytes = reference && await this.registries.config({ reference, how }, id);
      if (bytes) return bytes;
      await using work = await this.run.scratch.part();
      const watched = { work: work.path };
      const { value } = await this.#ask(
        { place, image },
        (conf) =>
          this.#run(item, { place, image }, watched, async (options) => {
            const own = conf && { registriesConf: await writeConf(conf, work.path) };
            const trust = { ...await this.run.trust.reach(), ...own };
            return await inspectConfig(image.skopeo, how, { ...options, trust });
          }),
      );
      return value.stdout;
    });
  }

  async #readOnce(
    known: Map<string, Promise<Kept>>,
    key: string,
    ask: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    let own: Uint8Array | undefined;
    const read = await once(known, key, async () => {
      own = await ask();
      return await this.run.scratch.keep(own);
    });
    return own ?? await read();
  }

  /**
   * Asks what the tag of a place stands for, each once, without reading a manifest.
   *
   * @param item The item.
   * @param place The place.
   * @returns The digest and the media type, in the registry's words; `undefined` if it does not say
   * the digest so, or the place is no registry.
   * @throws {Absence} If the registry does not answer.
   * @throws {StowageError} If the item is at its end.
   */
  async readHead(item: ItemName, place: Place): Promise<ManifestHead | undefined> {
    const { image: { inRegistry: reference }, how } = place;
    if (!reference) return undefined;
    const key = JSON.stringify([reference, how]);
    return await once(this.#heads, key, () =>
      this.withRetry(item, place, () => {
        this.#manifestReads++;
        return this.registries.headOfTag(reference, how);
      }));
  }

  /**
   * Copies an image into a folder, in the format of the `dir` transport.
   *
   * @param item The item.
   * @param found The place that has it, and the image there.
   * @param into The `folder`, what makes room for it, the folder of all that is written (`work`), and
   * what takes how many bytes have come.
   * @param options The platform to choose, where skopeo has to; and which layers are left out, which
   * takes an image of a registry.
   * @returns The mirror that has given it, if one has.
   * @throws {Absence} If the place does not have it.
   * @throws {StowageError} If the item is at its end.
   */
  async copy(
    item: ItemName,
    { place, image }: { readonly place: Place; readonly image: PlaceImage },
    into: CopyInto,
    { platform, leftOut }: CopyOptions,
  ): Promise<string | undefined> {
    const { folder, work, onBytes } = into;
    const pipes = this.#pipes;
    const watched = { work, ...(onBytes && { image: folder, onBytes }) };
    const copyWith = async (conf: RegistriesConf | undefined) => {
      await into.anew();
      await this.#run(item, { place, image }, watched, async (options) => {
        const trust = await this.run.trust.files(item.name, place);
        const all = { ...options, trust, platform };
        // Signatures are not of layers in another form.
        const leavesSignatures = !place.keepsManifest;
        const copy = { image: image.skopeo, how: place.how, folder, leavesSignatures };
        if (leftOut) {
          const left = { ...leftOut, ...(conf && { registriesConf: conf }) };
          return await guard(
            "write in",
            work,
            () => copyWithoutLayers(copy, left, { ...all, pipes }),
          );
        }
        const own = conf && { registriesConf: await writeConf(conf, work) };
        return await copyToDir(copy, { ...all, trust: { ...trust, ...own } });
      });
      const isThere = await Deno.lstat(folder).then(() => true, () => false);
      if (isThere) return;
      const doing = `fetch "${item.name}" from ${place.label}`;
      const hint = "see whether the skopeo on the PATH is the one that is meant";
      throw new ToolError("skopeo", { exitCode: 0, stderr: "it has copied nothing", doing, hint });
    };
    return (await this.#ask({ place, image }, copyWith)).mirror;
  }

  /** Has skopeo ask mirrors one after the other, as our own client does. */
  async #ask<Value>(
    { place: { how }, image: { inRegistry: reference } }: Pick<Resolved, "place" | "image">,
    ask: (conf: RegistriesConf | undefined) => Promise<Value>,
  ): Promise<{ readonly value: Value; readonly mirror?: string }> {
    const conf = reference && await this.run.trust.readRegistriesConf();
    const found = reference && conf && await this.registries.walk({ reference, how }, conf, ask);
    return found || { value: await ask(undefined) };
  }

  /**
   * Asks the policy of an image that is here already, by the signatures that are kept with it.
   *
   * @param item The item.
   * @param subject Its name, and how it came.
   * @param image The image.
   * @returns Whether it is accepted.
   * @throws {PolicyError} If a key of the policy is not there.
   */
  accepts(item: ItemName, subject: Subject, image: DirImageData): Promise<boolean> {
    const ask = () => acceptsStored(item, subject, image, this.run);
    return this.#questions.run(kindOf(subject), ask);
  }

  /** Runs skopeo when its turn has come, as each takes memory. */
  #run(
    item: ItemName,
    found: { readonly place: Place; readonly image: PlaceImage },
    what: Watched & { onBytes?(bytes: number): void },
    action: (options: Omit<SkopeoOptions, "trust">) => Promise<ProcessResult>,
  ): Promise<ProcessResult> {
    const limit = what.image === undefined ? this.#questions : this.#copies;
    return limit.run(kindOf(found.place), () => this.#runNow(item, found, what, action));
  }

  /** Runs skopeo, and ends it where nothing arrives any more. */
  async #runNow(
    item: ItemName,
    { place, image }: { readonly place: Place; readonly image: PlaceImage },
    what: Watched & { onBytes?(bytes: number): void },
    action: (options: Omit<SkopeoOptions, "trust">) => Promise<ProcessResult>,
  ): Promise<ProcessResult> {
    const { signal, stallTimeout, minRate, store } = this.run;
    await using watch = watchFolders(
      what,
      { stallTimeout, minRate },
      signal,
      what.onBytes ?? (() => {}),
    );
    try {
      const result = await action({ tmpDir: what.work, signal: watch.signal });
      if (result.code === 0) return result;
      const policyHint = this.run.trust.hintFor(place);
      const missing = await findMissing(place);
      const unread = await findUnread(place);
      const { explainFailure } = await import("../transports/explain_failure.ts");
      throw explainFailure({
        ...{ name: item.name, place, image, result },
        ...{ store: store.path, policyHint, missing, unread },
      });
    } catch (error) {
      if (!(error instanceof InterruptedError) || signal.aborted) throw error;
      if (watch.stalled === undefined) throw watch.error;
      const seconds = Math.round(stallTimeout / 1000);
      const message = `${watch.stalled} arrived for ${seconds} s`;
      throw new Absence("stalled", message, { isTransient: true });
    }
  }

  /**
   * Does something that may fail by what passes by itself, as often as the run allows.
   *
   * @param item The item.
   * @param place The place that it is about.
   * @param action Does it.
   * @returns What the action returns.
   * @throws {Absence} If the place does not have the image.
   * @throws {StowageError} If the item is at its end.
   */
  async withRetry<Value>(
    item: ItemName,
    place: Place,
    action: () => Promise<Value>,
  ): Promise<Value> {
    return await withRetry({ item, from: place.label, failure: Absence }, this.run, action);
  }
}

async function writeConf({ text }: RegistriesConf, folder: string): Promise<string> {
  const path = join(folder, `registries-${crypto.randomUUID()}.conf`);
  await guard("write", path, () => Deno.writeTextFile(path, text));
  return path;
}

/** Who has to answer: a registry that is slow does not keep others waiting. */
function kindOf({ transport, reference }: Subject): string {
  return reference?.domain ?? transport;
}

/** What has failed is tried again when it is asked for again. */
function once<Value>(
  known: Map<string, Promise<Value>>,
  key: string,
  read: () => Promise<Value>,
): Promise<Value> {
  const before = known.get(key);
  if (before) return before;
  const reading = read();
  known.set(key, reading);
  reading.catch(() => known.delete(key));
  return reading;
}

const isOther = (error: unknown): boolean => !(error instanceof Deno.errors.NotFound);

/** skopeo takes a file or folder that is not there for one that says nothing. */
async function findMissing({ how: { authFile, certDir } }: Place): Promise<string[]> {
  const named = [["authFile", authFile], ["certDir", certDir]] as const;
  const missing = await Promise.all(named.map(async ([key, path]) => {
    if (path === undefined || await Deno.stat(path).then(() => true, isOther)) return [];
    return [`its ${key} "${path}" is not there`];
  }));
  return missing.flat();
}

/** docker's own way to keep logins, which skopeo does not know. */
async function findUnread(
  { image: { inRegistry: reference }, how: { authFile } }: Place,
): Promise<string | undefined> {
  if (!reference) return undefined;
  const { findUnreadStore } = await import("../transports/docker/credentials.ts");
  const found = await findUnreadStore(reference, authFile);
  if (!found) return undefined;
  return `"${found.path}" keeps logins in "${found.name}" (credsStore), which skopeo does not read: ` +
    `log in with \`skopeo login ${reference.domain}\`, or name it there under credHelpers for that ` +
    "registry";
}
