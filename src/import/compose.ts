import type { Draft } from "./draft.ts";
import type { ImportFile, ImportKind } from "./import_kind.ts";
import { platformOf } from "./list.ts";
import { listOf, mapOf, readYaml, textOf, type YamlMap } from "./yaml.ts";

/** Compose files: the images of their services. */
export const compose: ImportKind = {
  usage: "FILE…",
  summary: "the images of the services of compose files",
  pattern: /\/(docker-)?compose(\..+)?\.ya?ml$/,
  read(files, draft) {
    for (const file of files) {
      for (const document of readYaml(withoutTags(file))) {
        const { services, include, models } = mapOf(document);
        if (include !== undefined) {
          draft.leave(`${file.path}: include`, "include", "import the files that it names as well");
        }
        for (const name of Object.keys(mapOf(models))) {
          draft.leave(`${file.path}: models.${name}`, "model", "it is no image");
        }
        const all = mapOf(services);
        for (const name of Object.keys(all)) addService(name, all, `${file.path}: services`, draft);
      }
    }
  },
};

/** How compose merges files; which of them are merged is not known here. */
function withoutTags({ path, text }: ImportFile): ImportFile {
  return { path, text: text.replace(/(?<=[\s:[{,-])!(?:override|reset)(?=\s|$)/gm, "") };
}

function addService(name: string, services: YamlMap, at: string, draft: Draft): void {
  const path = `${at}.${name}`;
  const { service, elsewhere } = extended(name, services);
  const { image, platform, build, pull_policy: pull, volumes, provider } = service;
  const text = textOf(image);
  const isBuilt = build !== undefined;
  if (text !== undefined && !(isBuilt && textOf(pull) === "build")) {
    const source = addImage(text, platform, path, draft);
    if (source !== undefined && isBuilt) {
      draft.comment(`sources.${source}`, `Compose builds it where no registry has it: ${path}`);
    }
  } else if (isBuilt) {
    draft.leave(path, "service", "it is built, and stowage builds images of trees only");
  } else if (elsewhere !== undefined) {
    draft.leave(path, "service", `it extends one of "${elsewhere}": import that file as well`);
  } else {
    const why = provider === undefined
      ? "it names no image"
      : "a provider runs it, without an image";
    draft.leave(path, "service", why);
  }
  for (const [index, volume] of listOf(volumes).entries()) {
    const { type, source } = mapOf(volume);
    const mounted = textOf(type) === "image" ? textOf(source) : undefined;
    const where = `${path}.volumes[${index}].source`;
    const reference = mounted && interpolate(mounted, where, draft)?.value;
    if (reference) draft.image(reference, {}, where);
  }
}

function addImage(
  text: string,
  platform: unknown,
  path: string,
  draft: Draft,
): string | undefined {
  const reference = interpolate(text, `${path}.image`, draft);
  if (reference === undefined) return undefined;
  const wanted = textOf(platform);
  const named = wanted && interpolate(wanted, `${path}.platform`, draft)?.value;
  const options = platformOf(named, `${path}.platform`, draft);
  const source = draft.image(reference.value, options, `${path}.image`);
  if (source !== undefined && reference.isDefault) {
    draft.comment(
      `sources.${source}`,
      `The default of "${text}": see what the environment or .env says`,
    );
  }
  return source;
}

/** A service with what it takes of others of its file; of the outer file, where that ends. */
function extended(
  name: string,
  services: YamlMap,
  seen: ReadonlySet<string> = new Set(),
): { readonly service: YamlMap; readonly elsewhere?: string } {
  const service = mapOf(services[name]);
  const { file, service: other } = mapOf(service["extends"]);
  const outer = textOf(file);
  if (outer !== undefined) return { service, elsewhere: outer };
  const base = textOf(service["extends"]) ?? textOf(other);
  if (base === undefined || seen.has(base)) return { service };
  const below = extended(base, services, new Set([...seen, name]));
  return { ...below, service: { ...below.service, ...service } };
}

const VARIABLE =
  /\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:[^{}$]|\$\$|\$\{[^{}]*\}|\$\w+)*))?\})/g;

/** Variables have the values that the file itself gives them: what it was run with is not known. */
function interpolate(
  text: string,
  path: string,
  draft: Draft,
): { readonly value: string; readonly isDefault: boolean } | undefined {
  const unknown = new Set<string>();
  let isDefault = false;
  const fill = (text: string): string =>
    text.replace(
      VARIABLE,
      (whole, plain?: string, braced?: string, operator?: string, other?: string) => {
        const name = plain ?? braced;
        if (name === undefined) return "$"; // of "$$"
        const isKnown = operator?.endsWith("-") || operator?.endsWith("+");
        isDefault ||= isKnown ?? false;
        if (operator?.endsWith("-")) return fill(other ?? "");
        if (isKnown) return "";
        unknown.add(name);
        return whole;
      },
    );
  const value = fill(text);
  if (unknown.size === 0) return { value, isDefault };
  draft.leave(path, `"${text}"`, `the file does not say what ${[...unknown].join(" and ")} is`);
  return undefined;
}
