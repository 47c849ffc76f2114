import type { Draft } from "./draft.ts";
import type { ImportKind } from "./import_kind.ts";
import { listOf, mapOf, readYaml, textOf } from "./yaml.ts";

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

/** Looks for containers, wherever a kind of resource has its pods. */
class Walk {
  /** What an alias names more than once is looked at once. */
  readonly #seen = new Set<unknown>();

  constructor(private readonly draft: Draft) {}

  look(value: unknown, path: string): void {
    if (typeof value !== "object" || value === null || this.#seen.has(value)) return;
    this.#seen.add(value);
    for (const [at, each] of listOf(value).entries()) this.look(each, `${path}[${at}]`);
    if (Array.isArray(value)) return;
    const map = mapOf(value);
    for (const key of CONTAINERS) {
      for (const [at, container] of listOf(map[key]).entries()) {
        const { image } = mapOf(container);
        this.#add(image, `${path}.${key}[${at}].image`);
      }
    }
    for (const [at, volume] of listOf(map["volumes"]).entries()) {
      const { reference } = mapOf(mapOf(volume)["image"]);
      this.#add(reference, `${path}.volumes[${at}].image.reference`);
    }
    for (const [key, each] of Object.entries(map)) this.look(each, `${path}.${key}`);
  }

  #add(image: unknown, path: string): void {
    const reference = textOf(image);
    if (reference !== undefined) this.draft.image(reference, {}, path);
  }
}
