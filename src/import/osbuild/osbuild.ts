import { formatPlatform, normalizePlatform, parsePlatform } from "../../../config/mod.ts";
import type { Draft } from "../draft.ts";
import type { ImportFile, ImportKind } from "../import_kind.ts";
import { ManifestImages, nameIn, readsImages } from "./images.ts";
import { type ManifestInput, type ManifestStage, type Pipeline, readManifest } from "./manifest.ts";
import {
  additionalStoreOf,
  NOT_OURS,
  STAGES,
  type StageScope,
  storageOf,
  type TranslatedStage,
  UNKNOWN,
} from "./stages.ts";

/** Manifests of osbuild. */
export const osbuild: ImportKind = {
  usage: "MANIFEST…",
  summary: "manifests of osbuild: their images, inputs and container stages, and a lock",
  platform: findPlatform,
  read(files, draft) {
    for (const file of files) new Translator(file, draft).translate();
  },
};

/** A manifest has no platform but in what its packages, boot loaders and archives are called. */
const ARCHITECTURES = /\b(?:x86_64|aarch64|ppc64le|s390x|riscv64|armv7hl|i[36]86)\b/g;

function findPlatform(files: readonly ImportFile[]): string | undefined {
  const found = files.flatMap(({ text }) =>
    [...text.matchAll(ARCHITECTURES)].map(([name]) => name)
  );
  const counts = [...Map.groupBy(found, (name) => name)].map(([name, all]) =>
    [name, all.length] as const
  );
  const [most, next] = counts.sort(([, a], [, b]) => b - a);
  if (!most || (next && most[1] < 2 * next[1])) return undefined;
  return formatPlatform(normalizePlatform(parsePlatform(most[0])));
}

/** What became of a pipeline. */
interface Tree {
  /** Its last stage, where it has any that could be translated. */
  readonly stage?: string;
  /** What is said of it. */
  readonly others: readonly string[];
}

class Translator {
  readonly #pipelines: readonly Pipeline[];
  readonly #images: ManifestImages;
  readonly #trees = new Map<string, Tree>();
  /** Pipelines whose trees a stage of ours reads, so that they have to be whole. */
  readonly #read: ReadonlySet<string>;

  constructor(file: ImportFile, private readonly draft: Draft) {
    const manifest = readManifest(file);
    this.#pipelines = manifest.pipelines;
    this.#images = new ManifestImages(manifest, draft);
    const stages = manifest.pipelines.flatMap(({ stages }) => stages);
    this.#read = new Set(
      stages.filter(({ type }) => STAGES[type]).flatMap(({ inputs }) =>
        Object.values(inputs).flatMap((input) => isTree(input) ? pipelinesIn(input) : [])
      ),
    );
  }

  translate(): void {
    this.#images.addAll();
    for (const pipeline of this.#pipelines) {
      this.#trees.set(pipeline.name, this.#translatePipeline(pipeline));
    }
  }

  #translatePipeline(pipeline: Pipeline): Tree {
    const { name, stages } = pipeline;
    // What makes a storage an additional one; those of which an install says so.
    const stores = new Map(
      stages.flatMap((stage) => {
        const path = additionalStoreOf(stage);
        return path === undefined ? [] : [[path, stage] as const];
      }),
    );
    const said = new Set<ManifestStage>();
    const scope = (stage: ManifestStage): StageScope => ({
      images: (input) => this.#imageInputs(name, input, (why) => scope(stage).leave(why)),
      tree: (input) => this.#treeInput(input),
      isAdditionalStore(path) {
        const store = stores.get(path);
        if (store) said.add(store);
        return store !== undefined;
      },
      leave: (why, path = stage.path) => this.draft.leave(path, stage.type, why),
    });
    const ours: TranslatedStage[] = [];
    const others: string[] = [];
    // An install that has a storage as an additional one says so itself.
    const filled = new Set(stages.map(storageOf));
    const implied = [...stores].flatMap(([path, stage]) => filled.has(path) ? [stage] : []);
    for (const stage of stages.filter((stage) => !implied.includes(stage))) {
      const { type, inputs, more = [] } = stage;
      const translate = STAGES[type];
      if (translate && more.length > 0) {
        scope(stage).leave(`stowage has no words for its ${more.join(" and ")}`);
        continue;
      }
      const translated = translate?.(stage, scope(stage));
      for (const input of translated ? Object.keys(inputs) : []) {
        if (KNOWN_INPUTS.test(input) || isTree(inputs[input])) continue;
        scope(stage).leave("stowage does not know this input", `${stage.path}.inputs.${input}`);
      }
      if (translated) ours.push(translated);
      else if (!translate && Object.values(inputs).some(readsImages)) {
        scope(stage).leave(NOT_OURS[type] ?? UNKNOWN);
      } else if (!translate) others.push(type);
    }
    for (const stage of implied.filter((stage) => !said.has(stage))) {
      scope(stage).leave("the stage that fills its storage has no translation");
    }
    const needsOthers = others.length > 0 && this.#read.has(name);
    let on: string | undefined;
    if (needsOthers && ours.length > 0) {
      const input = this.#exported(name);
      on = this.draft.stage({ type: "copy-tree", inputs: [input] }, `${name}-base`);
    }
    for (const [at, { stage, word }] of ours.entries()) {
      const isLast = at === ours.length - 1;
      const names = isLast ? [name] : [`${name}-${word}`];
      on = this.draft.stage({ ...stage, ...(on !== undefined && { on }) }, ...names);
    }
    if (on === undefined) return { others };
    if (others.length > 0 && !needsOthers) {
      const rest = new Set(others.map((type) => type.replace("org.osbuild.", "")));
      this.draft.comment(
        `stages.${on}`,
        `Of osbuild's pipeline "${name}"; it has stages without containers too: ` +
          [...rest].join(", "),
      );
    }
    return { stage: on, others };
  }

  #imageInputs(
    pipeline: string,
    input: ManifestInput | undefined,
    leave: (why: string) => void,
  ): string[] {
    if (!input || !readsImages(input)) return [];
    if (input.origin === "org.osbuild.pipeline") {
      return input.references.flatMap(({ id, options }) => {
        const name = pipelineOf(id);
        const stage = this.#trees.get(name)?.stage;
        if (stage === undefined) {
          leave(`the image of the pipeline "${name}" has no translation`);
          return [];
        }
        const as = nameIn(options);
        return [this.draft.input({ type: "output", stage, ...(as && { as }) }, name)];
      });
    }
    const onHost = input.references.filter(({ id }) => this.#images.isOnHost(id));
    const hosted = onHost.flatMap(({ id, options }) =>
      this.#images.hostInput(id, nameIn(options)) ?? []
    );
    const images = input.references.filter((each) => !onHost.includes(each)).flatMap(
      ({ id, options }) => {
        const source = this.#images.sourceOf(id);
        const name = nameIn(options);
        if (name === undefined) leave(`nothing says what image ${id} is called there`);
        return source === undefined || name === undefined ? [] : [[source, name] as const];
      },
    );
    if (images.length === 0) return hosted;
    const names = ["containers", `${pipeline}-containers`];
    const all = { type: "images", images: Object.fromEntries(images) } as const;
    return [...hosted, this.draft.input(all, ...names)];
  }

  #treeInput(input: ManifestInput): string | undefined {
    const [name, other] = isTree(input) ? pipelinesIn(input) : [];
    if (other !== undefined) return undefined;
    const tree = name === undefined ? undefined : this.#trees.get(name);
    if (name === undefined || !tree) return undefined;
    if (tree.stage === undefined) return this.#exported(name);
    return this.draft.input({ type: "tree", stage: tree.stage }, name, `${name}-tree`);
  }

  /** A tree that osbuild has to make. */
  #exported(pipeline: string): string {
    const input = this.draft.input({ type: "tree", path: pipeline }, pipeline, `${pipeline}-tree`);
    this.draft.comment(
      `inputs.${input}`,
      `Made by osbuild: osbuild --export ${pipeline} --output-directory . MANIFEST`,
    );
    return input;
  }
}

/** What the stages that are translated read, beside trees. */
const KNOWN_INPUTS = /^(images|manifest-lists)$/;

function isTree(input: ManifestInput | undefined): input is ManifestInput {
  return input?.type === "org.osbuild.tree" && input.origin === "org.osbuild.pipeline";
}

function pipelinesIn({ references }: ManifestInput): string[] {
  return references.map(({ id }) => pipelineOf(id));
}

function pipelineOf(id: string): string {
  return id.replace(/^name:/, "");
}
