import type { Source } from "../../config/mod.ts";
import type { Draft } from "./draft.ts";
import type { ImportFile, ImportKind } from "./import_kind.ts";
import { platformOf } from "./list.ts";

/** Quadlets, podman-systemd.unit(5): the images of containers, volumes and image units. */
export const quadlet: ImportKind = {
  usage: "DIR…",
  summary: "the images of quadlets: .container, .volume and .image files",
  pattern: /\.(container|volume|image|kube|build)$|\.(container|volume|image)\.d\/[^/]+\.conf$/,
  // As podman looks for them, and where bootc's logically bound images are linked.
  folders: [
    ["/etc/containers/systemd", "/usr/share/containers/systemd"],
    ["/usr/lib/bootc/bound-images.d"],
  ],
  read(files, draft) {
    const names = new Set(files.map(nameOf));
    const dropIns = Map.groupBy(files, ({ path }) => DROP_IN.exec(path)?.[1]);
    for (const file of dropIns.get(undefined) ?? []) {
      readUnit(file, dropIns.get(nameOf(file)) ?? [], names, draft);
    }
  },
};

/** What is said of a unit in a folder of its name, whichever folder that is in. */
const DROP_IN = /([^/]+)\.d\/[^/]+\.conf$/;

function nameOf({ path }: ImportFile): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Units of these kinds are made of others, or on the machine itself. */
const NOT_FETCHED: Readonly<Record<string, string>> = {
  kube: "it plays a Kubernetes file: import that with `stowage import kubernetes`",
  build: "it is built on the machine, and stowage builds images of trees only",
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
  const keys = new Map([file, ...dropIns].flatMap((each) => [...readKeys(each, section)]));
  const image = keys.get("Image");
  if (!image) {
    if (kind !== "volume") draft.leave(file.path, `.${kind} unit`, "it names no image");
    return;
  }
  const where = image.at;
  if (/%/.test(image.value)) {
    return draft.leave(where, `"${image.value}"`, "systemd alone knows what % stands for in it");
  }
  // The image of another unit, which is read itself.
  if (/\.(image|build)$/.test(image.value)) {
    if (names.has(image.value)) return;
    return draft.leave(where, `"${image.value}"`, "there is no such unit beside it");
  }
  draft.image(image.value, optionsOf(keys, file, draft), where);
}

type Keys = ReadonlyMap<string, { readonly value: string; readonly at: string }>;

function optionsOf(
  keys: Keys,
  { path }: ImportFile,
  draft: Draft,
): Omit<Extract<Source, { type: "docker" }>, "type" | "reference"> {
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

/** The keys of a section of a unit; of a key that is there twice, the last counts. */
function readKeys({ path, text }: ImportFile, section: string): Keys {
  const keys = new Map<string, { readonly value: string; readonly at: string }>();
  let current = "";
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const where = `${path}:${at + 1}`;
    let content = (lines[at] ?? "").trim();
    if (content === "" || /^[#;]/.test(content)) continue;
    while (content.endsWith("\\")) {
      content = `${content.slice(0, -1)} ${(lines[++at] ?? "").trim()}`;
    }
    const [, header] = /^\[(.+)\]$/.exec(content) ?? [];
    if (header !== undefined) current = header;
    const [, key = "", value = ""] = /^(\w+)\s*=\s*(.*)$/.exec(content) ?? [];
    if (current === section && key !== "") keys.set(key, { value: value.trim(), at: where });
  }
  return keys;
}
