import * as v from "valibot";
import { formatReference, hasTag, InvalidValueError, parseReference } from "../../../config/mod.ts";
import type { Draft, Pins } from "../draft.ts";
import type { Manifest, ManifestInput, ManifestStage, SourceItem } from "./manifest.ts";

const SKOPEO = "org.osbuild.skopeo";
const INDEX = "org.osbuild.skopeo-index";
const HOST = "org.osbuild.containers-storage";
const CONTAINERS = "org.osbuild.containers";

const place = {
  name: v.string(),
  "tls-verify": v.optional(v.boolean(), true),
  "containers-transport": v.optional(v.picklist(["docker", "containers-storage"]), "docker"),
  "storage-location": v.optional(v.string()),
};
const Digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const Image = v.strictObject({ image: v.strictObject({ ...place, digest: Digest }) });
const Index = v.strictObject({ image: v.strictObject(place) });

/** The images of a manifest's sources, as sources of a config. */
export class ManifestImages {
  readonly #items = new Map<string, SourceItem>();
  readonly #onHost = new Map<string, SourceItem>();
  /** Digests of indexes by the name of their image. */
  readonly #indexes = new Map<string, string[]>();
  /** What images are called where they are installed, by id. */
  readonly #names = new Map<string, string[]>();
  /** Indexes that are installed beside their images. */
  readonly #installed = new Set<string>();
  /** Images that are installed without an index. */
  readonly #bare = new Set<string>();
  readonly #sources = new Map<string, string | undefined>();

  constructor(manifest: Manifest, private readonly draft: Draft) {
    for (const item of manifest.sources.get(SKOPEO) ?? []) this.#items.set(item.id, item);
    for (const item of manifest.sources.get(HOST) ?? []) this.#onHost.set(item.id, item);
    for (const { id, value, path } of manifest.sources.get(INDEX) ?? []) {
      const index = v.safeParse(Index, value);
      if (!index.success) {
        draft.leave(path, "index of an image", whyNot(index.issues));
        continue;
      }
      const { name } = index.output.image;
      this.#indexes.set(name, [...this.#indexes.get(name) ?? [], id]);
    }
    for (const { stages } of manifest.pipelines) for (const stage of stages) this.#look(stage);
  }

  /** Adds all sources, those that no stage reads as well. */
  addAll(): void {
    for (const id of this.#items.keys()) this.sourceOf(id);
    for (const id of this.#onHost.keys()) this.hostInput(id);
    for (const [name, digests] of this.#indexes) {
      if (digests.length < 2 && this.#itemsOf(name).length === 1) continue;
      const why = `it cannot be told which of the images called "${name}" is chosen from it`;
      for (const id of digests) this.draft.leave(`sources["${INDEX}"]["${id}"]`, "index", why);
    }
  }

  /**
   * Finds the source of an image.
   *
   * @param id Image id.
   * @returns Its name; `undefined` if it could not be translated, which was said.
   */
  sourceOf(id: string): string | undefined {
    if (!this.#sources.has(id)) this.#sources.set(id, this.#add(id));
    return this.#sources.get(id);
  }

  #look({ inputs }: ManifestStage): void {
    const lists = inputs["manifest-lists"]?.references ?? [];
    for (const { id } of lists) this.#installed.add(id);
    for (const { references } of Object.values(inputs).filter(readsImages)) {
      for (const { id, options } of references) {
        if (lists.length === 0) this.#bare.add(id);
        const name = nameIn(options);
        if (name) this.#names.set(id, [...this.#names.get(id) ?? [], name]);
      }
    }
  }

  #add(id: string): string | undefined {
    const item = this.#items.get(id);
    if (!item) {
      const known = `sources["${SKOPEO}"]`;
      this.draft.leave(known, `image ${id}`, "a stage reads it, and no source has it");
      return undefined;
    }
    const parsed = v.safeParse(Image, item.value);
    if (!parsed.success) {
      this.draft.leave(item.path, "image", whyNot(parsed.issues));
      return undefined;
    }
    const { image } = parsed.output;
    const at = `${item.path}.image.name`;
    const reference = this.#withTag(id, image.name);
    const [index] = this.#indexOf(image.name);
    const keeps = index !== undefined && (this.#installed.has(index) || !this.#bare.has(id));
    const options = keeps ? { index: true } : {};
    const pins: Pins = { digest: image.digest, id, ...(index !== undefined && { index }) };
    const location = image["storage-location"];
    if (!this.#isReference(reference, at)) return undefined;
    if (image["containers-transport"] === "docker") {
      const tls = image["tls-verify"] ? {} : { tlsVerify: false };
      return this.draft.source({ type: "docker", reference, ...tls, ...options }, pins);
    }
    return this.draft.source({
      type: "containers-storage",
      reference,
      ...(location ? { location, driver: "overlay" } as const : {}),
      ...options,
    }, pins);
  }

  /**
   * Tells whether an image is one of this machine, which is read where it is.
   *
   * @param id Image id.
   * @returns Whether it is.
   */
  isOnHost(id: string): boolean {
    return this.#onHost.has(id);
  }

  /**
   * Finds the input of an image of this machine.
   *
   * @param id Image id.
   * @param wanted What it is called where it is installed; as the first stage says, if absent.
   * @returns Its name; `undefined` if it could not be translated, which was said.
   */
  hostInput(id: string, wanted?: string): string | undefined {
    const path = this.#onHost.get(id)?.path ?? "";
    const [name = wanted] = wanted === undefined ? this.#names.get(id) ?? [] : [wanted];
    if (name === undefined) {
      const why = "no stage says what it is called where it is installed";
      this.draft.leave(path, "image of this machine's storage", why);
      return undefined;
    }
    if (!this.#isReference(name, path)) return undefined;
    const called = parseReference(name).path.split("/").at(-1) ?? "";
    return this.draft.input({ type: "host-image", name, id }, called, `${called}-on-host`);
  }

  #isReference(text: string, path: string): boolean {
    try {
      parseReference(text);
      return true;
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      this.draft.leave(path, `"${text}"`, `it is no reference: expected ${error.expected}`);
      return false;
    }
  }

  #itemsOf(name: string): SourceItem[] {
    return [...this.#items.values()].filter(({ value }) => {
      const item = v.safeParse(Image, value);
      return item.success && item.output.image.name === name;
    });
  }

  /** An index has no more than a name to tell which image is chosen from it. */
  #indexOf(name: string): readonly string[] {
    const indexes = this.#indexes.get(name) ?? [];
    return indexes.length === 1 && this.#itemsOf(name).length === 1 ? indexes : [];
  }

  /** A source has no tag; it is that of the name that its image gets, where this is the same. */
  #withTag(id: string, name: string): string {
    try {
      if (hasTag(name)) return name;
      const { domain, path } = parseReference(name);
      const same = (this.#names.get(id) ?? []).find((each) => {
        const other = parseReference(each);
        return hasTag(each) && other.domain === domain && other.path === path;
      });
      const tag = same && parseReference(same).tag;
      return tag ? formatReference({ domain, path, tag }) : name;
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      return name; // what is wrong is said where it is used
    }
  }
}

/**
 * Whether an input gives images.
 *
 * @param input The input.
 * @returns Whether it does.
 */
export function readsImages({ type }: ManifestInput): boolean {
  return type === CONTAINERS || type === HOST;
}

/**
 * What an image is called where a stage installs it.
 *
 * @param options What an input says of a reference.
 * @returns The name, if there is one.
 */
export function nameIn(options: unknown): string | undefined {
  const named = v.safeParse(v.object({ name: v.pipe(v.string(), v.nonEmpty()) }), options);
  return named.success ? named.output.name : undefined;
}

/**
 * Says why something could not be read.
 *
 * @param issues What its schema has found.
 * @returns The first of them, with its path.
 */
export function whyNot(
  [issue]: readonly [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]],
): string {
  const path = issue.path?.map(({ key }) => String(key)).join(".");
  const at = path ? ` at ${path}` : "";
  if (issue.expected === "never") return `stowage does not know what is said${at}`;
  const expected = issue.expected?.replaceAll(/[()]/g, "").replaceAll(" | ", " or ");
  return `expected ${expected ?? "something else"}${at}`;
}
