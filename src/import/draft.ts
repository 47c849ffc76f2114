import {
  type Config,
  formatReference,
  hasTag,
  type ImageSource,
  type Input,
  InvalidValueError,
  parseReference,
  type Stage,
} from "../../config/mod.ts";
import type { LeftOut } from "../errors/mod.ts";
import type { Lock, LockedSource } from "../graph/lock_schema.ts";
import { formatLocation, readLocation } from "../transports/mod.ts";

/** What is known of a source's image without asking for it. */
export interface Pins {
  /** Digest of its manifest. */
  readonly digest: string;
  /** Image id. */
  readonly id: string;
  /** Digest of the index that it was chosen from. */
  readonly index?: string;
}

/** The parts of a config that have names. */
export type Section = "sources" | "inputs" | "stages";

/** A config that grows, with what there is to say of it. */
export class Draft {
  /** What could not be translated. */
  readonly left: LeftOut[] = [];
  readonly #sections = {
    sources: new Map<string, ImageSource>(),
    inputs: new Map<string, Input>(),
    stages: new Map<string, Stage>(),
  };
  readonly #locked: Record<string, LockedSource> = {};
  readonly #comments = new Map<string, string[]>();
  readonly #leftNear = new Map<string, LeftOut[]>();
  readonly #byContent = new Map<string, string>();

  /**
   * Begins a config.
   *
   * @param platform Platform of its sources; that of the machine where it runs if absent.
   */
  constructor(readonly platform: string | undefined) {}

  /** The config as it is. */
  get config(): Config {
    const sections = Object.entries(this.#sections)
      .flatMap(([name, entries]) => entries.size > 0 ? [[name, Object.fromEntries(entries)]] : []);
    return {
      ...(this.platform !== undefined && { platform: this.platform }),
      ...Object.fromEntries(sections),
    };
  }

  /** The lock of its sources, as far as it is known. */
  get lock(): Lock {
    return { schema: 1, sources: { ...this.#locked } };
  }

  /**
   * Adds a source, unless it is there.
   *
   * @param source The source.
   * @param pins What is known of its image; it goes into the lock, or into the config where that
   * does not say for which platform it is.
   * @returns Its name.
   */
  source(source: ImageSource, pins?: Pins): string {
    const isLocked = pins !== undefined && this.platform !== undefined;
    const whole = pins && !isLocked
      ? { ...source, digest: source.index ? pins.index ?? pins.digest : pins.digest, id: pins.id }
      : source;
    const text = JSON.stringify([{ ...whole, ...normal(whole) }, pins]);
    const known = this.#byContent.get(text);
    if (known !== undefined) return known;
    const name = this.#free("sources", namesOf(whole));
    this.#byContent.set(text, name);
    this.#sections.sources.set(name, whole);
    const location = readLocation(whole);
    if (isLocked && location) {
      this.#locked[name] = {
        reference: formatLocation(location),
        ...(pins.index !== undefined && { index: { digest: pins.index } }),
        platforms: { [this.platform]: { digest: pins.digest, id: pins.id } },
      };
    }
    return name;
  }

  /**
   * Adds an image of a registry, unless it is there.
   *
   * @param reference Its reference.
   * @param options What else its source says.
   * @param at Where its name stands; what is no reference is left out.
   * @returns Name of the source, if there is one.
   */
  image(
    reference: string,
    options: Omit<Extract<ImageSource, { type: "docker" }>, "type" | "reference">,
    at: string,
  ): string | undefined {
    try {
      parseReference(reference);
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      this.leave(at, `"${error.value}"`, `it is no reference: expected ${error.expected}`);
      return undefined;
    }
    return this.source({ type: "docker", reference, ...options });
  }

  /**
   * Adds an input, unless it is there.
   *
   * @param input The input.
   * @param wanted What it may be called, the best first.
   * @returns Its name.
   */
  input(input: Input, ...wanted: readonly string[]): string {
    const text = JSON.stringify(input);
    for (const [name, each] of this.#sections.inputs) {
      if (JSON.stringify(each) === text) return name;
    }
    const name = this.#free("inputs", wanted);
    this.#sections.inputs.set(name, input);
    return name;
  }

  /**
   * Adds a stage.
   *
   * @param stage The stage.
   * @param wanted What it may be called, the best first.
   * @returns Its name.
   */
  stage(stage: Stage, ...wanted: readonly string[]): string {
    const name = this.#free("stages", wanted);
    this.#sections.stages.set(name, stage);
    return name;
  }

  /**
   * Says something of the config.
   *
   * @param path What it is about, such as `stages.os`; the whole config if empty.
   * @param text What is said.
   */
  comment(path: string, text: string): void {
    const comments = this.#comments.get(path) ?? [];
    if (!comments.includes(text)) this.#comments.set(path, [...comments, text]);
  }

  /**
   * What is said of a part of the config.
   *
   * @param path What it is about.
   * @returns The comments, in order.
   */
  commentsOn(path: string): readonly string[] {
    const left = Map.groupBy(
      this.#leftNear.get(path) ?? [],
      ({ what, why }) => `${what}: ${why}`,
    );
    return [
      ...this.#comments.get(path) ?? [],
      ...left.entries().map(([text, all]) =>
        `Left out, at ${all.map((each) => each.path).join(", ")}: ${text}`
      ),
    ];
  }

  /**
   * Notes what has no translation; it is said where it would stand.
   *
   * @param path Where it stands.
   * @param what What it is.
   * @param why Why it has no translation.
   * @param near What it would belong to, such as `stages.os`; the whole config if absent.
   */
  leave(path: string, what: string, why: string, near = ""): void {
    this.left.push({ path, what, why });
    this.#leftNear.set(near, [...this.#leftNear.get(near) ?? [], { path, what, why }]);
  }

  #free(section: Section, wanted: readonly string[]): string {
    const taken = this.#sections[section];
    const names = wanted.map(toName).filter((name) => name !== "");
    const found = names.find((name) => !taken.has(name));
    if (found !== undefined) return found;
    for (let number = 2;; number++) {
      const name = `${names[0] ?? section.slice(0, -1)}-${number}`;
      if (!taken.has(name)) return name;
    }
  }
}

/** One image may be written in several ways. */
function normal(source: ImageSource): { readonly reference?: string } {
  return "reference" in source
    ? { reference: formatReference(parseReference(source.reference)) }
    : {};
}

/** What a source may be called: the last part of its image's name, or more of it. */
function namesOf(source: ImageSource): string[] {
  if (!("reference" in source)) {
    const [name = ""] = source.path.split("/").filter(Boolean).slice(-1);
    return [name.replace(/\.tar(\.\w+)?$/, "")];
  }
  const { domain, path, tag, digest } = parseReference(source.reference);
  const parts = path.split("/");
  const [last = ""] = parts.slice(-1);
  const version = hasTag(source.reference) ? tag : digest?.slice("sha256:".length, 19);
  return [
    last,
    ...(version ? [`${last}-${version}`] : []),
    ...(parts.length > 1 ? [parts.slice(-2).join("-")] : []),
    ...(source.platform ? [`${last}-${source.platform.split("/").slice(1).join("-")}`] : []),
    parts.join("-"),
    [domain, ...parts, ...(version ? [version] : [])].join("-"),
  ];
}

/** As names of a config are. */
function toName(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "")
    .slice(0, 100);
}
