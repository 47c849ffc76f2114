import * as v from "valibot";
import {
  type Destination,
  type ImageConfig,
  InvalidValueError,
  parsePlatform,
  type Stage,
} from "../../../config/mod.ts";
import { TreePattern } from "../../../config/schema_parts.ts";
import { QuadletUnitsSchema } from "../../../config/stages/quadlet.ts";
import { StorageConfSchema } from "../../../config/stages/storage_conf.ts";
import { whyNot } from "./images.ts";
import type { ManifestInput, ManifestStage } from "./manifest.ts";

/** What a stage is translated with. */
export interface StageScope {
  /** Names of the inputs of its images; none if there are none that could be translated. */
  images(input: ManifestInput | undefined): string[];
  /** Name of the input of a tree, if that could be translated. */
  tree(input: ManifestInput): string | undefined;
  /** Whether the tree's storage.conf names a storage as an additional one. */
  isAdditionalStore(path: string): boolean;
  /** Notes what has no translation. */
  leave(why: string, path?: string): void;
}

/** A stage of osbuild as one of stowage. */
export interface TranslatedStage {
  /** What it is called where its tree has another stage behind it. */
  readonly word: string;
  /** The stage. */
  readonly stage: Stage;
}

/** Translates a stage; where that is not possible it says why, and gives nothing. */
type Translate = (stage: ManifestStage, scope: StageScope) => TranslatedStage | undefined;

/** Where osbuild's storage is unless told. */
const STORAGE = "/var/lib/containers/storage";

/** Where images go; of a storage in the tree its path too. */
type To = { readonly destination: Destination; readonly storage?: string | undefined };
const StorageTo = v.pipe(
  v.strictObject({
    type: v.literal("containers-storage"),
    "storage-path": v.optional(v.string()),
    "storage-driver": v.optional(v.picklist(["overlay", "vfs"])),
  }),
  v.transform(({ type, "storage-path": path, "storage-driver": driver }): To => ({
    destination: {
      type,
      ...(path !== undefined && path !== STORAGE && { path }),
      ...(driver === "vfs" && { driver }),
    },
    storage: path,
  })),
);
const FileTo = v.pipe(
  v.strictObject({ type: v.picklist(["oci", "oci-archive", "dir"]), path: v.string() }),
  v.transform((destination): To => ({ destination })),
);
const CopyOptions = v.strictObject({
  destination: v.variant("type", [StorageTo, FileTo]),
  "remove-signatures": v.optional(v.boolean(), false),
});

function copyImages(
  stage: ManifestStage,
  { images, isAdditionalStore, leave }: StageScope,
): TranslatedStage | undefined {
  const options = v.safeParse(CopyOptions, stage.options);
  if (!options.success) return void leave(whyNot(options.issues), `${stage.path}.options`);
  const inputs = images(stage.inputs["images"]);
  if (inputs.length === 0) return void leave("none of its images could be translated");
  const { destination: { destination, storage }, "remove-signatures": isBare } = options.output;
  return {
    word: "containers",
    stage: {
      type: "install",
      inputs,
      destination,
      ...(isBare && { removeSignatures: true }),
      ...(storage !== undefined && isAdditionalStore(storage) && { additionalImageStore: true }),
    },
  };
}

const Strings = v.array(v.string());
const ArchiveOptions = v.strictObject({
  architecture: v.string(),
  variant: v.optional(v.string()),
  filename: v.string(),
  config: v.optional(
    v.strictObject({
      Cmd: v.exactOptional(Strings),
      Entrypoint: v.exactOptional(Strings),
      Env: v.exactOptional(Strings),
      ExposedPorts: v.exactOptional(Strings),
      User: v.exactOptional(v.string()),
      Labels: v.exactOptional(v.record(v.string(), v.string())),
      // osbuild's own schema has this spelling, and no other.
      StopSiganl: v.exactOptional(v.string()),
      StopSignal: v.exactOptional(v.string()),
      Volumes: v.exactOptional(Strings),
      WorkingDir: v.exactOptional(v.string()),
    }),
    {},
  ),
  annotations: v.optional(v.record(v.string(), v.string())),
});

/** What osbuild gives to images that say nothing else. */
const DEFAULTS = {
  Cmd: ["sh"],
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
} as const;

function makeArchive(
  stage: ManifestStage,
  { tree, leave }: StageScope,
): TranslatedStage | undefined {
  const options = v.safeParse(ArchiveOptions, stage.options);
  if (!options.success) return void leave(whyNot(options.issues), `${stage.path}.options`);
  const { architecture, variant, filename, annotations, config: own } = options.output;
  const platform = ["linux", architecture, ...(variant ? [variant] : [])].join("/");
  try {
    parsePlatform(platform);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    return void leave(`expected ${error.expected}`, `${stage.path}.options.architecture`);
  }
  // The order of osbuild, which compares them as texts: "base", "layer.1", "layer.10", "layer.2".
  const layers = Object.keys(stage.inputs).sort();
  const inputs = layers.map((layer) => {
    const input = stage.inputs[layer];
    return input && tree(input);
  });
  const known = inputs.filter((input) => input !== undefined);
  if (known.length < inputs.length || known.length === 0) {
    return void leave("not all of its trees could be translated");
  }
  const { StopSiganl, ...rest } = own;
  const config: ImageConfig = {
    ...DEFAULTS,
    ...(StopSiganl && { StopSignal: StopSiganl }),
    ...rest,
  };
  return {
    word: "image",
    stage: {
      type: "oci-archive",
      inputs: known,
      filename,
      platform,
      config,
      ...(annotations && { annotations }),
    },
  };
}

const DeployOptions = v.strictObject({
  exclude: v.optional(Strings, []),
  "remove-signatures": v.optional(v.boolean(), false),
});

function deployImage(
  stage: ManifestStage,
  { images, leave }: StageScope,
): TranslatedStage | undefined {
  const options = v.safeParse(DeployOptions, stage.options);
  if (!options.success) return void leave(whyNot(options.issues), `${stage.path}.options`);
  const { exclude, "remove-signatures": isBare } = options.output;
  // osbuild takes them as they are.
  const odd = exclude.find((path) => !v.is(TreePattern, path) || /[*?[\]{}\\]/.test(path));
  if (odd !== undefined) {
    return void leave(`stowage takes "${odd}" for a pattern`, `${stage.path}.options.exclude`);
  }
  const input = stage.inputs["images"];
  if (input && input.references.length !== 1) return void leave("it does not read one image");
  const inputs = images(input);
  if (inputs.length === 0) return void leave("its image could not be translated");
  return {
    word: "unpacked",
    stage: {
      type: "unpack",
      inputs,
      ...(exclude.length > 0 && { exclude }),
      ...(isBare && { removeSignatures: true }),
    },
  };
}

const ConfOptions = v.strictObject({
  filename: v.optional(v.string()),
  comment: v.optional(v.unknown()),
  config: v.strictObject({ storage: StorageConfSchema.pipe[0].entries.storage }),
});

function setStorageConf(
  stage: ManifestStage,
  { leave }: StageScope,
): TranslatedStage | undefined {
  const options = v.safeParse(ConfOptions, stage.options);
  if (!options.success) return void leave(whyNot(options.issues), `${stage.path}.options`);
  const { filename, config: { storage } } = options.output;
  return {
    word: "storage-conf",
    stage: {
      type: "storage-conf",
      storage,
      ...(filename !== undefined && filename !== CONF && { path: filename }),
    },
  };
}

const Variables = v.array(v.strictObject({ key: v.string(), value: v.string() }));
const UnitOptions = v.strictObject({
  filename: v.string(),
  "unit-path": v.optional(v.picklist(["usr", "etc"]), "usr"),
  config: v.record(v.string(), v.record(v.string(), v.unknown())),
});

function writeQuadlet(
  stage: ManifestStage,
  { leave }: StageScope,
): TranslatedStage | undefined {
  const path = `${stage.path}.options`;
  const options = v.safeParse(UnitOptions, stage.options);
  if (!options.success) return void leave(whyNot(options.issues), path);
  const { filename, "unit-path": folder, config } = options.output;
  const { Environment, ...Container } = config["Container"] ?? {};
  const variables = v.safeParse(v.optional(Variables, []), Environment);
  if (!variables.success) return void leave(whyNot(variables.issues), `${path}.Environment`);
  const unit = {
    ...config,
    ...(config["Container"] && {
      Container: {
        ...Container,
        ...(variables.output.length > 0 && { Environment: namedOrRaw(variables.output) }),
      },
    }),
  };
  const units = v.safeParse(QuadletUnitsSchema, { [filename]: unit });
  if (!units.success) return void leave(whyNot(units.issues), path);
  return {
    word: filename,
    stage: {
      type: "quadlet",
      units: units.output,
      ...(folder === "etc" && { to: "/etc/containers/systemd" }),
    },
  };
}

/** osbuild puts them between quotes as they are, so that systemd reads what is special to it. */
function namedOrRaw(variables: v.InferOutput<typeof Variables>) {
  const isSpecial = variables.some(({ key, value }) =>
    /["\\%$\p{Cc}]/u.test(value) || !/^\w+$/.test(key)
  );
  return isSpecial
    ? variables.map(({ key, value }) => `"${key}=${value}"`)
    : Object.fromEntries(variables.map(({ key, value }) => [key, value]));
}

/** Where a storage.conf is unless told. */
const CONF = "/etc/containers/storage.conf";

/** The stages that have a translation. */
export const STAGES: Readonly<Record<string, Translate>> = {
  "org.osbuild.skopeo": copyImages,
  "org.osbuild.oci-archive": makeArchive,
  "org.osbuild.container-deploy": deployImage,
  "org.osbuild.containers.storage.conf": setStorageConf,
  "org.osbuild.containers.unit.create": writeQuadlet,
};

const IN_OSBUILD = "stowage has no such stage; osbuild can go on with it, as it finds the image";

/** Why stages that read images have no translation, beside that they have none. */
export const NOT_OURS: Readonly<Record<string, string>> = {
  "org.osbuild.bootc.install-to-filesystem": `bootc installs itself: ${IN_OSBUILD}`,
  "org.osbuild.flatpak.build-import-bundle.oci": `flatpak imports it: ${IN_OSBUILD}`,
  "org.osbuild.ostree.deploy.container": `ostree deploys it: ${IN_OSBUILD}`,
};

/** What is said of other stages that read images. */
export const UNKNOWN = IN_OSBUILD;

const StorageConf = v.strictObject({
  filename: v.optional(v.literal("/etc/containers/storage.conf")),
  comment: v.optional(v.unknown()),
  config: v.strictObject({
    storage: v.strictObject({
      options: v.strictObject({ additionalimagestores: v.strictTuple([v.string()]) }),
    }),
  }),
});

/** The stage that writes storage.conf. */
const STORAGE_CONF = "org.osbuild.containers.storage.conf";

/**
 * Finds the storage that a stage makes an additional one, and nothing else.
 *
 * @param stage The stage.
 * @returns Its path in the tree.
 */
export function additionalStoreOf({ type, options }: ManifestStage): string | undefined {
  if (type !== STORAGE_CONF) return undefined;
  const conf = v.safeParse(StorageConf, options);
  return conf.success ? conf.output.config.storage.options.additionalimagestores[0] : undefined;
}

/**
 * Finds the storage that a stage copies images to.
 *
 * @param stage The stage.
 * @returns Its path in the tree, where the stage says it.
 */
export function storageOf({ type, options }: ManifestStage): string | undefined {
  if (type !== "org.osbuild.skopeo") return undefined;
  const copy = v.safeParse(CopyOptions, options);
  return copy.success ? copy.output.destination.storage : undefined;
}
