import type { Draft } from "./draft.ts";
import type { ImportKind } from "./import_kind.ts";
import { listOf, mapOf, readYaml, textOf, type YamlMap } from "./yaml.ts";

/** Manifests of Kubernetes: the images of their containers. */
export const kubernetes: ImportKind = {
  usage: "FILE…",
  summary: "the images of the containers of Kubernetes manifests",
  pattern: /\.(ya?ml|json)$/,
  read(files, draft) {
    for (const file of files) {
      for (const [at, document] of readYaml(file).entries()) {
        const { kind } = mapOf(document);
        new Walk(draft).look(document, `${file.path}: ${textOf(kind) ?? `document ${at + 1}`}`);
      }
    }
  },
};

const CONTAINERS = ["containers", "initContainers", "ephemeralContainers"];
/** Their data is of programs, or says what others may have. */
const WITHOUT_IMAGES = new Set(["ConfigMap", "Secret", "CustomResourceDefinition"]);

/** Looks for containers, wherever a kind of resource has its pods. */
class Walk {
  /** What an alias names more than once is looked at once. */
  readonly #seen = new Set<unknown>();
  /** What was taken for what has an image. */
  readonly #known = new Set<unknown>();

  constructor(private readonly draft: Draft) {}

  look(value: unknown, path: string): void {
    if (typeof value !== "object" || value === null || this.#seen.has(value)) return;
    this.#seen.add(value);
    for (const [at, each] of listOf(value).entries()) this.look(each, `${path}[${at}]`);
    if (Array.isArray(value)) return;
    const map = mapOf(value);
    if (WITHOUT_IMAGES.has(textOf(map["kind"]) ?? "")) return;
    for (const key of CONTAINERS) {
      for (const [at, container] of listOf(map[key]).entries()) {
        this.#container(container, `${path}.${key}[${at}]`);
      }
    }
    for (const [at, volume] of listOf(map["volumes"]).entries()) {
      const { image } = mapOf(volume);
      this.#known.add(image);
      this.#add(mapOf(image)["reference"], `${path}.volumes[${at}].image.reference`);
    }
    // As OLM has them, of what an operator starts itself.
    for (const [at, related] of listOf(map["relatedImages"]).entries()) {
      this.#known.add(related);
      this.#add(mapOf(related)["image"], `${path}.relatedImages[${at}].image`);
    }
    if (!this.#known.has(value)) this.#tellOther(map, path);
    for (const [key, each] of Object.entries(map)) this.look(each, `${path}.${key}`);
  }

  #container(container: unknown, path: string): void {
    this.#known.add(container);
    const { image, env } = mapOf(container);
    if (textOf(image) === undefined) {
      this.draft.leave(path, "container", "it names no image that can be read");
    } else this.#add(image, `${path}.image`);
    for (const [at, variable] of listOf(env).entries()) {
      const { name, value } = mapOf(variable);
      if (!/^RELATED_IMAGE_/.test(textOf(name) ?? "")) continue;
      this.#add(value, `${path}.env[${at}].value`);
    }
  }

  /** Resources of other makers may have images anywhere: only a reader can tell. */
  #tellOther({ image }: YamlMap, path: string): void {
    const { repository, tag } = mapOf(image);
    const text = textOf(image) ??
      [repository, tag].map(textOf).filter((part) => part !== undefined).join(":");
    if (text === "") return;
    const why = "it is of no container: add it where it is an image (`stowage add`)";
    this.draft.leave(`${path}.image`, `"${text}"`, why);
  }

  #add(image: unknown, path: string): void {
    const reference = textOf(image);
    if (reference !== undefined) this.draft.image(reference, {}, path);
  }
}
