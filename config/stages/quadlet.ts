import * as v from "valibot";
import type { InPlace } from "../in_place.ts";
import type { Same } from "../same.ts";
import { closed, described, FileName, keyed, orList, Strings, TreePath } from "../schema_parts.ts";
import { stageEntries, type StageOptions } from "./stage_options.ts";

/**
 * The keys of podman's own sections, podman-systemd.unit(5) of podman 5 and 6, by what they take:
 * one value, yes or no, several values, or several values with names. `Creds` is left out, as
 * everyone may read a unit, and so are the keys that podman calls deprecated.
 */
export const QUADLET_KEYS = {
  Container: {
    // deno-fmt-ignore
    text: [
      "AppArmor", "AutoUpdate", "CgroupsMode", "ContainerName", "Entrypoint", "Exec", "Group",
      "HealthCmd", "HealthInterval", "HealthLogDestination", "HealthMaxLogCount",
      "HealthMaxLogSize", "HealthOnFailure", "HealthRetries", "HealthStartPeriod",
      "HealthStartupCmd", "HealthStartupInterval", "HealthStartupRetries", "HealthStartupSuccess",
      "HealthStartupTimeout", "HealthTimeout", "HostName", "IP", "IP6", "Image", "LogDriver",
      "Memory", "Notify", "PidsLimit", "Pod", "Pull", "ReloadCmd", "ReloadSignal", "Retry",
      "RetryDelay", "Rootfs", "SeccompProfile", "SecurityLabelFileType", "SecurityLabelLevel",
      "SecurityLabelType", "ServiceName", "ShmSize", "StopSignal", "StopTimeout", "SubGIDMap",
      "SubUIDMap", "Timezone", "User", "UserNS", "WorkingDir",
    ],
    // deno-fmt-ignore
    flag: [
      "EnvironmentHost", "HttpProxy", "NoNewPrivileges", "ReadOnly", "ReadOnlyTmpfs", "RunInit",
      "SecurityLabelDisable", "SecurityLabelNested", "StartWithPod",
    ],
    // deno-fmt-ignore
    list: [
      "AddCapability", "AddDevice", "AddHost", "ContainersConfModule", "DNS", "DNSOption",
      "DNSSearch", "DropCapability", "EnvironmentFile", "ExposeHostPort", "GIDMap", "GlobalArgs",
      "GroupAdd", "LogOpt", "Mask", "Mount", "Network", "NetworkAlias", "PodmanArgs",
      "PublishPort", "Secret", "Sysctl", "Tmpfs", "UIDMap", "Ulimit", "Unmask", "Volume",
    ],
    pairs: ["Annotation", "Environment", "Label"],
  },
  Pod: {
    // deno-fmt-ignore
    text: [
      "ExitPolicy", "HostName", "IP", "IP6", "PodName", "ServiceName", "ShmSize", "StopTimeout",
      "SubGIDMap", "SubUIDMap", "UserNS",
    ],
    flag: [],
    // deno-fmt-ignore
    list: [
      "AddHost", "ContainersConfModule", "DNS", "DNSOption", "DNSSearch", "GIDMap", "GlobalArgs",
      "Network", "NetworkAlias", "PodmanArgs", "PublishPort", "UIDMap", "Volume",
    ],
    pairs: ["Label"],
  },
  Kube: {
    // deno-fmt-ignore
    text: ["ExitCodePropagation", "LogDriver", "ServiceName", "SetWorkingDirectory", "UserNS"],
    flag: ["KubeDownForce"],
    // deno-fmt-ignore
    list: [
      "AutoUpdate", "ConfigMap", "ContainersConfModule", "GlobalArgs", "LogOpt", "Network",
      "PodmanArgs", "PublishPort", "Yaml",
    ],
    pairs: [],
  },
  Network: {
    text: ["Driver", "IPAMDriver", "InterfaceName", "NetworkName", "ServiceName"],
    flag: ["DisableDNS", "IPv6", "Internal", "NetworkDeleteOnStop"],
    // deno-fmt-ignore
    list: [
      "ContainersConfModule", "DNS", "Gateway", "GlobalArgs", "IPRange", "PodmanArgs", "Subnet",
    ],
    pairs: ["Label", "Options"],
  },
  Volume: {
    // deno-fmt-ignore
    text: [
      "Device", "Driver", "GID", "Group", "Image", "Options", "ServiceName", "Type", "UID", "User",
      "VolumeName",
    ],
    flag: ["Copy"],
    list: ["ContainersConfModule", "GlobalArgs", "PodmanArgs"],
    pairs: ["Label"],
  },
  Image: {
    // deno-fmt-ignore
    text: [
      "Arch", "AuthFile", "CertDir", "DecryptionKey", "Image", "ImageTag", "OS", "Policy", "Retry",
      "RetryDelay", "ServiceName", "Variant",
    ],
    flag: ["AllTags", "TLSVerify"],
    list: ["ContainersConfModule", "GlobalArgs", "PodmanArgs"],
    pairs: [],
  },
  Build: {
    // deno-fmt-ignore
    text: [
      "Arch", "AuthFile", "File", "IgnoreFile", "Pull", "Retry", "RetryDelay", "ServiceName",
      "SetWorkingDirectory", "Target", "Variant",
    ],
    flag: ["ForceRM", "TLSVerify"],
    // deno-fmt-ignore
    list: [
      "ContainersConfModule", "DNS", "DNSOption", "DNSSearch", "GlobalArgs", "GroupAdd", "ImageTag",
      "Network", "PodmanArgs", "Secret", "Volume",
    ],
    pairs: ["Annotation", "BuildArg", "Environment", "Label"],
  },
  Artifact: {
    // deno-fmt-ignore
    text: [
      "Artifact", "AuthFile", "CertDir", "DecryptionKey", "Retry", "RetryDelay", "ServiceName",
    ],
    flag: ["Quiet", "TLSVerify"],
    list: ["ContainersConfModule", "GlobalArgs", "PodmanArgs"],
    pairs: [],
  },
} as const;

/** A section of podman's own. */
export type QuadletSectionName = keyof typeof QUADLET_KEYS;

/** One value, as the file has it: a line, with what systemd and podman read in it. */
export type QuadletText = string | number;

/** One value, or several. */
export type QuadletList = QuadletText | readonly QuadletText[];

/**
 * Values by name, such as variables: they arrive as they are, whatever is in them. Or texts, as the
 * file has them.
 */
export type QuadletPairs = QuadletList | Readonly<Record<string, string>>;

/** A section of podman's own: its keys, and what they take. */
export type QuadletSection<Name extends QuadletSectionName> =
  & { readonly [Key in typeof QUADLET_KEYS[Name]["text"][number]]?: QuadletText }
  & { readonly [Key in typeof QUADLET_KEYS[Name]["flag"][number]]?: boolean }
  & { readonly [Key in typeof QUADLET_KEYS[Name]["list"][number]]?: QuadletList }
  & { readonly [Key in typeof QUADLET_KEYS[Name]["pairs"][number]]?: QuadletPairs };

/** A section of systemd's own: whatever keys it has. */
export type QuadletSystemdSection = Readonly<Record<string, QuadletPairs | boolean>>;

/** A quadlet, podman-systemd.unit(5): the section that its file is called after, and systemd's. */
export interface QuadletUnit {
  /** `[Unit]`, systemd.unit(5). */
  readonly Unit?: QuadletSystemdSection;
  /** `[Container]`, of a `.container` file. */
  readonly Container?: QuadletSection<"Container">;
  /** `[Pod]`, of a `.pod` file. */
  readonly Pod?: QuadletSection<"Pod">;
  /** `[Kube]`, of a `.kube` file. */
  readonly Kube?: QuadletSection<"Kube">;
  /** `[Network]`, of a `.network` file. */
  readonly Network?: QuadletSection<"Network">;
  /** `[Volume]`, of a `.volume` file. */
  readonly Volume?: QuadletSection<"Volume">;
  /** `[Image]`, of an `.image` file. */
  readonly Image?: QuadletSection<"Image">;
  /** `[Build]`, of a `.build` file. */
  readonly Build?: QuadletSection<"Build">;
  /** `[Artifact]`, of an `.artifact` file. */
  readonly Artifact?: QuadletSection<"Artifact">;
  /** `[Service]`, systemd.service(5). */
  readonly Service?: QuadletSystemdSection;
  /** `[Install]`, systemd.unit(5). */
  readonly Install?: QuadletSystemdSection;
  /** `[Quadlet]`: whether the unit waits for the network, as it does if absent. */
  readonly Quadlet?: { readonly DefaultDependencies?: boolean };
}

/** Options of {@linkcode quadlet}. */
export interface QuadletOptions {
  /** The units by the names of their files, such as `app.container`. */
  readonly units: Readonly<Record<string, QuadletUnit>>;
  /** The folder in the tree; `/usr/share/containers/systemd` if absent. */
  readonly to?: string;
  /**
   * Names of units, of containers and images, whose images bootc keeps with each version of the
   * system: logically bound images.
   */
  readonly bound?: readonly string[];
}

/** A stage that writes quadlets into a tree, as plain data. */
export interface QuadletStage<I extends string = string, S extends string = string>
  extends Partial<StageOptions<I, S>>, QuadletOptions {
  /** The literal that tells stages apart. */
  readonly type: "quadlet";
}

/** What {@linkcode quadlet} returns where it stands in its config. */
export interface QuadletInPlace<I extends string, S extends string>
  extends QuadletStage<I, S>, InPlace {}

/** Nothing in a value may end its line, or go on behind it, and readers of units trim lines. */
const LINE = "one line, without white space at its ends and without a backslash behind it";
const isLine = (text: string) =>
  text !== "" && text.trim() === text && !text.endsWith("\\") && text.isWellFormed() &&
  !/[\p{Cc}\u2028\u2029]/u.test(text);
const Text = v.union([v.pipe(v.string(), v.check(isLine, LINE)), v.pipe(v.number(), v.integer())]);
const Texts = v.pipe(v.array(Text), v.nonEmpty("at least one value"));
const List = orList(Text, Texts);

const PairName = v.pipe(
  v.string(),
  v.regex(/^[^\s"'\\=$%\p{Cc}]+$/u, "a name without white space, quotes, backslash, =, $ and %"),
);
const PairValue = v.pipe(
  v.string(),
  v.check(
    (text) => text.isWellFormed() && !/[^\P{Cc}\n\t]/u.test(text),
    "a text without control characters but tabs and ends of lines",
  ),
);
const Named = keyed(v.record(PairName, PairValue));
const anyPairs = v.union([Text, Texts, Named]);
const Pairs = v.lazy((input) => {
  if (input === undefined) return anyPairs;
  if (Array.isArray(input)) return Texts;
  return typeof input === "object" ? Named : Text;
});
const Flag = v.boolean();

const entry = <const Schema extends v.GenericSchema>(schema: Schema, text: string) =>
  v.exactOptional(described(schema, text));
const KINDS = {
  text: entry(Text, "One value, podman-systemd.unit(5)"),
  flag: entry(Flag, "Yes or no, podman-systemd.unit(5)"),
  list: entry(List, "One value or several, podman-systemd.unit(5)"),
  pairs: entry(Pairs, "Values by name, or texts, podman-systemd.unit(5)"),
};

/** The schema of a section of podman's own. */
function section<
  const Keys extends { readonly [Kind in keyof typeof KINDS]: readonly string[] },
>({ text, flag, list, pairs }: Keys, name: string) {
  return entry(
    closed({
      ...v.entriesFromList<Keys["text"], typeof KINDS.text>(text, KINDS.text),
      ...v.entriesFromList<Keys["flag"], typeof KINDS.flag>(flag, KINDS.flag),
      ...v.entriesFromList<Keys["list"], typeof KINDS.list>(list, KINDS.list),
      ...v.entriesFromList<Keys["pairs"], typeof KINDS.pairs>(pairs, KINDS.pairs),
    }, `a key that podman-systemd.unit(5) has for [${name}]`),
    `[${name}], of a .${name.toLowerCase()} file`,
  );
}

const SystemdKey = v.pipe(v.string(), v.regex(/^[A-Z][A-Za-z0-9]*$/, "a key as systemd has them"));
const anyValue = v.union([Text, Texts, Named, Flag]);
const Value = v.lazy((input) =>
  input === undefined ? anyValue : typeof input === "boolean" ? Flag : Pairs
);
const systemd = (name: string, page: string) =>
  entry(keyed(v.record(SystemdKey, Value)), `[${name}], ${page}`);

/** The schema of {@linkcode QuadletUnit}. */
export const QuadletUnitSchema = closed({
  Unit: systemd("Unit", "systemd.unit(5)"),
  Container: section(QUADLET_KEYS.Container, "Container"),
  Pod: section(QUADLET_KEYS.Pod, "Pod"),
  Kube: section(QUADLET_KEYS.Kube, "Kube"),
  Network: section(QUADLET_KEYS.Network, "Network"),
  Volume: section(QUADLET_KEYS.Volume, "Volume"),
  Image: section(QUADLET_KEYS.Image, "Image"),
  Build: section(QUADLET_KEYS.Build, "Build"),
  Artifact: section(QUADLET_KEYS.Artifact, "Artifact"),
  Service: systemd("Service", "systemd.service(5)"),
  Install: systemd("Install", "systemd.unit(5)"),
  Quadlet: entry(
    closed({ DefaultDependencies: entry(Flag, "Whether the unit waits for the network") }),
    "[Quadlet], podman-systemd.unit(5)",
  ),
});
true satisfies Same<v.InferOutput<typeof QuadletUnitSchema>, QuadletUnit>;

/** As osbuild and systemd have them; a name with "@" is a template. */
const UnitName = v.pipe(
  FileName,
  v.regex(
    /^[\w:-][\w:.-]*@?[\w:.-]*\.(?:container|pod|kube|network|volume|image|build|artifact)$/,
    "the name of a unit that ends with .container, .pod, .kube, .network, .volume, .image, .build " +
      "or .artifact",
  ),
);

/** What quadlet itself refuses, where nobody would see it before the device does. */
function* mistakesOf(
  name: string,
  unit: QuadletUnit,
): Generator<readonly [path: readonly string[], message: string]> {
  const own = ownSection(name);
  if (own === undefined) return; // its name was told
  for (const other of SECTIONS) {
    if (unit[other] && other !== own) {
      yield [[other], `[${own}] alone of podman's sections in "${name}"`];
    }
  }
  if (!unit[own]) yield [[], `[${own}] in "${name}"`];
  const { Container, Volume, Image, Kube, Build, Artifact, Service } = unit;
  if (Container && (Container.Image === undefined) === (Container.Rootfs === undefined)) {
    yield [["Container"], "Image or Rootfs"];
  }
  if (Volume?.Driver === "image" && Volume.Image === undefined) {
    yield [["Volume"], "Image as well, as its driver is image"];
  }
  if (Image && Image.Image === undefined) yield [["Image"], "Image"];
  if (Kube && Kube.Yaml === undefined) yield [["Kube"], "Yaml"];
  if (Artifact && Artifact.Artifact === undefined) yield [["Artifact"], "Artifact"];
  if (Build && Build.ImageTag === undefined) yield [["Build"], "ImageTag"];
  if (Build && Build.File === undefined && Build.SetWorkingDirectory === undefined) {
    yield [["Build"], "File or SetWorkingDirectory"];
  }
  for (const key of ["User", "Group", "DynamicUser"]) {
    if (Service?.[key] === undefined) continue;
    yield [["Service", key], "no such key, as podman itself runs as root: [Container] has User"];
  }
}

const SECTIONS = [
  "Container",
  "Pod",
  "Kube",
  "Network",
  "Volume",
  "Image",
  "Build",
  "Artifact",
] as const;

/** The section that a unit is called after. */
function ownSection(name: string): QuadletSectionName | undefined {
  const kind = name.slice(name.lastIndexOf(".") + 1);
  return SECTIONS.find((section) => section.toLowerCase() === kind);
}

/** The schema of the units of a {@linkcode QuadletStage}. */
export const QuadletUnitsSchema = v.pipe(
  keyed(v.record(UnitName, QuadletUnitSchema)),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const [name, unit] of Object.entries(dataset.value)) {
      for (const [path, message] of mistakesOf(name, unit)) {
        let input: object = dataset.value;
        const items = [name, ...path].map((key) => {
          const value: unknown = Reflect.get(input, key);
          const item = {
            type: "object",
            origin: "value",
            input: { ...input },
            key,
            value,
          } as const;
          if (typeof value === "object" && value !== null) input = value;
          return item;
        });
        const [first, ...rest] = items;
        if (first) addIssue({ message, path: [first, ...rest] });
      }
    }
  }),
);

/** Where quadlet looks for units of a tree. */
const FOLDER = /^\/(?:etc|usr\/share)\/containers\/systemd(?:\/|$)/;

/** The schema of {@linkcode QuadletStage}. */
export const QuadletSchema = closed({
  ...stageEntries,
  inputs: v.exactOptional(
    described(v.pipe(Strings, v.maxLength(0, "no inputs, as it reads none")), "None"),
  ),
  type: described(v.literal("quadlet"), "The literal that tells stages apart"),
  units: described(QuadletUnitsSchema, "The units by the names of their files"),
  to: v.exactOptional(
    described(
      v.pipe(
        TreePath,
        v.regex(
          FOLDER,
          "/usr/share/containers/systemd or /etc/containers/systemd, or a folder in it",
        ),
      ),
      "The folder in the tree; `/usr/share/containers/systemd` if absent",
    ),
  ),
  bound: v.exactOptional(
    described(
      Strings,
      "Names of units, of containers and images, whose images bootc keeps with each version of the system",
    ),
  ),
});
true satisfies Same<v.InferOutput<typeof QuadletSchema>, QuadletStage>;

/**
 * Writes quadlets into a tree, podman-systemd.unit(5), as osbuild's
 * `org.osbuild.containers.unit.create` does: units of containers, volumes, networks and images that
 * podman makes services of at boot. A file of the same name that says something else is an error.
 *
 * @param options The tree that it continues, the units, their folder, and which images are bound.
 * @returns The stage, as plain data.
 *
 * @example Usage
 * ```ts
 * import { copyTree, defineConfig, quadlet, tree } from "@stowage/stowage";
 *
 * export default defineConfig({
 *   inputs: { rootfs: tree("rootfs") },
 *   stages: {
 *     base: copyTree({ inputs: ["rootfs"] }),
 *     os: quadlet({
 *       on: "base",
 *       units: {
 *         "proxy.container": {
 *           Container: {
 *             Image: "localhost/proxy:2.8",
 *             Pull: "never", // it is in the tree
 *             PublishPort: ["80:80", "443:443"],
 *             Environment: { GREETING: "Hello, world" },
 *           },
 *           Install: { WantedBy: "multi-user.target" },
 *         },
 *       },
 *     }),
 *   },
 * });
 * ```
 */
export function quadlet<S extends string = never>(
  options: Pick<Partial<StageOptions<never, NoInfer<S>>>, "on"> & QuadletOptions,
): QuadletInPlace<never, S>;
/**
 * The same by itself: its names are checked when it is put into a config.
 *
 * @param options As above.
 * @returns The stage, as plain data.
 */
export function quadlet<const S extends string = never>(
  options: Pick<Partial<StageOptions<never, S>>, "on"> & QuadletOptions,
): QuadletStage<never, S>;
export function quadlet(
  options: Pick<Partial<StageOptions>, "on"> & QuadletOptions,
): QuadletStage {
  return { type: "quadlet", ...options };
}
