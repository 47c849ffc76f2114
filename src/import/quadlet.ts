import type { Source } from "../../config/mod.ts";
import type { Draft } from "./draft.ts";
import type { ImportFile, ImportKind } from "./import_kind.ts";
import { platformOf } from "./list.ts";

/** Quadlets, podman-systemd.unit(5): the images of containers, volumes and image units. */
export const quadlet: ImportKind = {
  usage: "DIR…",
  summary: "the images of quadlets: .container, .volume and .image files",
  pattern:
    /\.(container|volume|image|kube|build|artifact)$|(^|[./-])(container|volume|image)\.d\/[^/]+\.conf$/,
  // As podman looks for them, and where bootc's logically bound images are linked.
  folders: [
    ["/etc/containers/systemd", "/usr/share/containers/systemd"],
    ["/usr/lib/bootc/bound-images.d"],
  ],
  read(files, draft) {
    const names = new Set(files.map(nameOf));
    const dropIns = Map.groupBy(files, ({ path }) => DROP_IN.exec(path)?.[1]);
    for (const file of dropIns.get(undefined) ?? []) {
      const own = foldersOf(nameOf(file)).flatMap((folder) => dropIns.get(folder) ?? []);
      readUnit(file, own, names, draft);
    }
  },
};

/** What is said of a unit in a folder of its name, whichever folder that is in. */
const DROP_IN = /([^/]+)\.d\/[^/]+\.conf$/;

/** What stands before `.d` in names of folders for a unit, the one that counts least first. */
function foldersOf(unit: string): string[] {
  const dot = unit.lastIndexOf(".");
  const [name, kind] = [unit.slice(0, dot), unit.slice(dot)];
  const [template, instance] = name.split("@");
  // As systemd.unit(5) has it: "foo-bar.container" also has what "foo-.container.d" says.
  const dashes = [...name.matchAll(/-(?=.)/g)].map(({ index }) =>
    `${name.slice(0, index + 1)}${kind}`
  );
  return [kind.slice(1), ...dashes, ...(instance ? [`${template}@${kind}`] : []), unit];
}

function nameOf({ path }: ImportFile): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Units of these kinds are made of others, or on the machine itself. */
const NOT_FETCHED: Readonly<Record<string, string>> = {
  kube: "it plays a Kubernetes file: import that with `stowage import kubernetes`",
  build: "it is built on the machine, and stowage builds images of trees only",
  artifact: "it is no image: `artifact()` fetches such things",
};

function readUnit(
  file: ImportFile,
  dropIns: readonly ImportFile[],
  names: ReadonlySet<string>,
  draft: Draft,
): void {
  const kind = file.path.slice(file.path.lastIndexOf(".") + 1);
  const why = NOT_FETCHED[kind];
  if (why !== undefined) return draft.leave(file.path, `.${kind} unit`, why);
  const section = `${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}`;
  const all = [file, ...dropIns].map((each) => readKeys(each, section));
  const keys = new Map(all.flatMap((each) => each.map(({ key, ...rest }) => [key, rest] as const)));
  for (const { key, value, at } of all.flat()) {
    if (kind === "container" && key === "Mount") addMounted(value, at, names, draft);
    if (kind === "image" && NOT_SAID.includes(key) && value !== "") {
      draft.leave(at, key, "no option of a source says it");
    }
  }
  const image = keys.get("Image");
  if (!image) {
    if (keys.has("Rootfs")) return;
    if (kind !== "volume") draft.leave(file.path, `.${kind} unit`, "it names no image");
    return;
  }
  addImage(image.value, image.at, names, draft, () => optionsOf(keys, file, draft));
}

/** Keys of image units that change what is pulled, or need a secret. */
const NOT_SAID = ["AllTags", "ContainersConfModule", "Creds", "DecryptionKey", "PodmanArgs"];

/** An image may be mounted, podman-run(1). */
function addMounted(
  mount: string,
  at: string,
  names: ReadonlySet<string>,
  draft: Draft,
): void {
  const parts = new Map(
    mount.split(",").map((part) => {
      const [key = "", ...value] = part.split("=");
      return [key.trim(), value.join("=").trim()] as const;
    }),
  );
  const source = parts.get("source") ?? parts.get("src");
  if (parts.get("type") === "image" && source) addImage(source, at, names, draft);
}

function addImage(
  text: string,
  at: string,
  names: ReadonlySet<string>,
  draft: Draft,
  options: () => SourceOptions = () => ({}),
): void {
  if (/%/.test(text)) {
    return draft.leave(at, `"${text}"`, "systemd alone knows what % stands for in it");
  }
  // The image of another unit, which is read itself.
  if (/\.(image|build)$/.test(text)) {
    if (names.has(text)) return;
    return draft.leave(at, `"${text}"`, "there is no such unit beside it");
  }
  draft.image(text, options(), at);
}

type SourceOptions = Omit<Extract<Source, { type: "docker" }>, "type" | "reference">;
type Keys = ReadonlyMap<string, { readonly value: string; readonly at: string }>;

function optionsOf(
  keys: Keys,
  { path }: ImportFile,
  draft: Draft,
): SourceOptions {
  const of = (key: string) => keys.get(key)?.value;
  const [authFile, certDir] = [of("AuthFile"), of("CertDir")];
  const platform = [of("OS") ?? "linux", of("Arch"), of("Variant")].filter(Boolean).join("/");
  return {
    ...(of("Arch") !== undefined && platformOf(platform, path, draft)),
    ...(/^(false|no|off|0)$/i.test(of("TLSVerify") ?? "") && { tlsVerify: false }),
    ...(authFile && { authFile }),
    ...(certDir && { certDir }),
  };
}

/** The keys of a section of a unit, in order; of one that is there twice, the last counts mostly. */
function readKeys(
  { path, text }: ImportFile,
  section: string,
): { readonly key: string; readonly value: string; readonly at: string }[] {
  const keys: { readonly key: string; readonly value: string; readonly at: string }[] = [];
  let current = "";
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const where = `${path}:${at + 1}`;
    let content = (lines[at] ?? "").trim();
    if (content === "" || /^[#;]/.test(content)) continue;
    while (content.endsWith("\\")) {
      const next = (lines[++at] ?? "").trim();
      // A comment does not end what is continued.
      content = /^[#;]/.test(next) ? content : `${content.slice(0, -1)} ${next}`;
    }
    const [, header] = /^\[(.+)\]$/.exec(content) ?? [];
    if (header !== undefined) current = header;
    const [, key = "", value = ""] = /^(\w+)\s*=\s*(.*)$/.exec(content) ?? [];
    if (current === section && key !== "") keys.push({ key, value: value.trim(), at: where });
  }
  return keys;
}
