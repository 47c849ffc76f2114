import type { Draft } from "./draft.ts";
import type { ImportKind } from "./import_kind.ts";
import { platformOf } from "./list.ts";
import { mapOf, readYaml, textOf } from "./yaml.ts";

/** Compose files: the images of their services. */
export const compose: ImportKind = {
  usage: "FILE…",
  summary: "the images of the services of compose files",
  pattern: /\/(docker-)?compose(\..+)?\.ya?ml$/,
  read(files, draft) {
    for (const file of files) {
      for (const document of readYaml(file)) {
        const { services, include } = mapOf(document);
        if (include !== undefined) {
          draft.leave(`${file.path}: include`, "include", "import the files that it names as well");
        }
        for (const [name, value] of Object.entries(mapOf(services))) {
          addService(value, `${file.path}: services.${name}`, draft);
        }
      }
    }
  },
};

function addService(value: unknown, path: string, draft: Draft): void {
  const { image, platform, build } = mapOf(value);
  const text = textOf(image);
  if (text === undefined) {
    const why = build === undefined
      ? "it names no image"
      : "it is built, and stowage builds images of trees only";
    draft.leave(path, "service", why);
    return;
  }
  const reference = interpolate(text, `${path}.image`, draft);
  if (reference === undefined) return;
  const wanted = textOf(platform);
  const named = wanted && interpolate(wanted, `${path}.platform`, draft);
  draft.image(reference, platformOf(named, `${path}.platform`, draft), `${path}.image`);
}

const VARIABLE = /\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])([^}]*))?\})/g;

/** Variables have the values that the file itself gives them: what it was run with is not known. */
function interpolate(text: string, path: string, draft: Draft): string | undefined {
  const unknown = new Set<string>();
  const value = text.replace(
    VARIABLE,
    (whole, plain?: string, braced?: string, operator?: string, other?: string) => {
      const name = plain ?? braced;
      if (name === undefined) return "$"; // of "$$"
      if (operator?.endsWith("-")) return other ?? "";
      if (operator?.endsWith("+")) return "";
      unknown.add(name);
      return whole;
    },
  );
  if (unknown.size === 0) return value;
  draft.leave(path, `"${text}"`, `the file does not say what ${[...unknown].join(" and ")} is`);
  return undefined;
}
