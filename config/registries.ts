import * as v from "valibot";
import { NO_IPV6, type Reference } from "./reference.ts";
import type { Same } from "./same.ts";
import { closed, HOST, keyed, PATH } from "./schema_parts.ts";
import { registryEntries, type RegistryOptions } from "./transports/docker.ts";

/**
 * How registries are reached: by `host[:port]`, or by how names there begin (`host[:port]/path`), as
 * in containers-registries.conf(5). Of several that fit a name, the longest counts, alone.
 */
export type RegistrySettings = Readonly<Record<string, RegistryOptions>>;

/** Other names of Docker Hub, which references do not keep. */
const HUB = /^(?:index|registry-1)\.docker\.io(?=\/|$)/;

const RegistryPrefix = v.pipe(
  v.string(),
  v.regex(
    new RegExp(String.raw`^(?!(?:index|registry-1)\.docker\.io(?:/|$))${HOST}(?:${PATH})*$`),
    ({ input }) => expectedFor(input),
  ),
  v.check((text) => !text.startsWith("["), NO_IPV6),
);

function expectedFor(text: string): string {
  const [, scheme] = /^([a-z][a-z\d+.-]*:\/\/)/i.exec(text) ?? [];
  if (scheme !== undefined) return `"${bare(text.slice(scheme.length))}", without a scheme`;
  if (text.endsWith("/")) return `"${bare(text)}", without a slash at its end`;
  if (HUB.test(text)) return `"${text.replace(HUB, "docker.io")}", as Docker Hub is called`;
  if (text.startsWith("*")) return "a registry's own name, as there are no patterns here";
  if (/@|\/[^/]*:[^/]*$/.test(text)) return '"host[:port][/path]", without a tag or a digest';
  return '"host[:port][/path]", where a host has a dot or a port, or is "localhost"';
}

function bare(text: string): string {
  return text.replace(/\/+$/, "");
}

/** The schema of {@linkcode RegistrySettings}. */
export const RegistrySettingsSchema = keyed(v.record(RegistryPrefix, closed(registryEntries)));
true satisfies Same<v.InferOutput<typeof RegistrySettingsSchema>, RegistrySettings>;

/** Settings, and what they are of. */
export interface FoundSettings {
  /** The key that fits; `undefined` where none does. */
  readonly of: string | undefined;
  /** What stands there. */
  readonly how: RegistryOptions;
}

/**
 * Finds the settings of a name.
 *
 * @param name `host[:port][/path]`.
 * @param settings Settings by registry.
 * @returns Those of the longest key that fits.
 */
export function findSettings(name: string, settings: RegistrySettings = {}): FoundSettings {
  const [of] = Object.keys(settings)
    .filter((key) => name === key || name.startsWith(`${key}/`))
    .toSorted((a, b) => b.length - a.length);
  return { of, how: (of !== undefined && settings[of]) || {} };
}

/**
 * Says how a registry is reached for an image.
 *
 * @param reference The image.
 * @param own What was said for it alone, which counts option by option.
 * @param settings Settings by registry.
 * @param known How it was reached before: it counts where nothing else says it.
 * @returns How it is reached; paths are as they were written.
 */
export function reachOf(
  { domain, path }: Pick<Reference, "domain" | "path">,
  own: RegistryOptions,
  settings?: RegistrySettings,
  known: RegistryOptions = {},
): RegistryOptions & { readonly tlsVerify: boolean } {
  const { how } = findSettings(`${domain}/${path}`, settings);
  const found = { ...known, ...how };
  const { tlsVerify = found.tlsVerify ?? true } = own;
  const { authFile = found.authFile, certDir = found.certDir } = own;
  return { tlsVerify, ...(authFile && { authFile }), ...(certDir && { certDir }) };
}
