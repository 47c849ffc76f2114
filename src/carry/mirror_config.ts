import type { Reference } from "../../config/mod.ts";
import { UsageError } from "../errors/mod.ts";
import type { Reached } from "../transports/docker/site.ts";

/** In which words the configuration of mirrors is written: those of who reads it. */
export type MirrorFormat = "registries.conf" | "idms" | "k3s" | "containerd";

/** A file that tells where images are mirrored. */
export interface MirrorFile {
  /** Its name; with a folder, where there is one for each registry. */
  readonly path: string;
  /** What it says. */
  readonly text: string;
}

/** A source, and what it is called where it was pushed to. */
export interface Mirrored {
  /** Name of the source. */
  readonly name: string;
  /** What it was called before; absent where nobody can have asked for it by a name. */
  readonly own?: Reference;
  /** What it is called there. */
  readonly target: Reference;
}

/** A repository that was pushed to another place. */
interface Moved {
  /** The name of one source of it. */
  readonly name: string;
  /** Its registry. */
  readonly host: string;
  /** Its path there. */
  readonly path: string;
  /** Its path in the mirror. */
  readonly target: string;
  /** Whether it has tags in the mirror, and not digests only. */
  readonly isTagged: boolean;
}

/** The registry that was pushed to. */
interface Mirror extends Reached {
  /** Its host with its port. */
  readonly domain: string;
  /** The format, for errors. */
  readonly format: MirrorFormat;
}

const FORMATS: Readonly<
  Record<MirrorFormat, (moved: readonly Moved[], mirror: Mirror) => readonly MirrorFile[]>
> = { "registries.conf": registriesConf, idms, k3s, containerd };

/** The names of the formats. */
export const MIRROR_FORMATS: readonly string[] = Object.keys(FORMATS);

/**
 * Reads the name of a format.
 *
 * @param text The name.
 * @returns The format.
 * @throws {UsageError} If it is none.
 */
export function parseMirrorFormat(text: string): MirrorFormat {
  if (isFormat(text)) return text;
  throw new UsageError(
    `Cannot write mirrors as "${text}": expected ${MIRROR_FORMATS.join(", ")}`,
  );
}

/**
 * Writes the configuration with which the old names of images lead to where they were pushed.
 *
 * - `registries.conf`: containers-registries.conf(5), for podman, skopeo, buildah and CRI-O.
 * - `idms`: ImageDigestMirrorSet and ImageTagMirrorSet of OpenShift.
 * - `k3s`: registries.yaml of k3s and rke2, https://docs.k3s.io/installation/private-registry
 * - `containerd`: https://github.com/containerd/containerd/blob/main/docs/hosts.md
 *
 * @param format The format.
 * @param images What was pushed; what had no name, or has it still, is left out.
 * @param reached How the registry was reached, by which the receiver reaches it too.
 * @returns The files.
 * @throws {UsageError} If the format cannot say it, or a name would lead to another image.
 */
export function formatMirrors(
  format: MirrorFormat,
  images: readonly Mirrored[],
  reached: Reached,
): readonly MirrorFile[] {
  const moved = movedOf(format, images);
  const [first] = images;
  if (!first || moved.length === 0) {
    throw refuse(format, "no source has another name there than it had", {
      hint: "what has its name still needs no mirror: leave --mirrors out",
    });
  }
  const { scheme, isInsecure } = reached;
  return FORMATS[format](moved, { format, scheme, isInsecure, domain: first.target.domain });
}

function movedOf(format: MirrorFormat, images: readonly Mirrored[]): Moved[] {
  const all = new Map<string, Moved>();
  for (const { name, own, target } of images) {
    if (!own) continue;
    const { domain: host, path, tag } = own;
    const repository = `${host}/${path}`;
    if (tag !== undefined && target.tag !== tag) {
      const there = target.tag === undefined ? "by its digest" : `with the tag "${target.tag}"`;
      const why = `"${repository}:${tag}" is ${there} there, and mirrors cannot change a tag`;
      throw refuse(format, why, { hint: `leave the tag out of the --map of "${name}"` });
    }
    const other = all.get(repository);
    if (other && other.target !== target.path) {
      const why = `"${repository}" is in two repositories there, "${other.target}" and ` +
        `"${target.path}"`;
      throw refuse(format, why, { hint: `map all of it: --map ${repository}=PATH` });
    }
    const isTagged = tag !== undefined || (other?.isTagged ?? false);
    all.set(repository, { name, host, path, target: target.path, isTagged });
  }
  const domain = images[0]?.target.domain;
  const moved = [...all.keys()].sort().flatMap((key) => all.get(key) ?? []);
  for (const each of moved) refuseShared(format, each, moved);
  return moved.filter(({ host, path, target }) => host !== domain || path !== target);
}

/** Tags of one repository would be found in that of another; digests say which image they mean. */
function refuseShared(format: MirrorFormat, one: Moved, moved: readonly Moved[]): void {
  for (const other of moved) {
    if (other === one || !other.isTagged) continue;
    const rest = other.target === one.target ? "" : behind(other.target, one.target);
    if (rest === undefined) continue;
    const name = rest === "" ? nameOf(one) : `${nameOf(one)}/${rest}`;
    if (name === nameOf(other)) continue;
    throw ambiguous(format, name, other, one.host);
  }
}

/** One entry a repository, so that names that were not pushed are asked for where they are. */
function registriesConf(moved: readonly Moved[], { domain, isInsecure }: Mirror): MirrorFile[] {
  const entries = moved.map((each) =>
    [
      "[[registry]]",
      `prefix = ${quote(nameOf(each))}`,
      `location = ${quote(nameOf(each))}`,
      "[[registry.mirror]]",
      `location = ${quote(`${domain}/${each.target}`)}`,
      `insecure = ${isInsecure}`,
      `pull-from-mirror = ${quote(each.isTagged ? "all" : "digest-only")}`,
    ].join("\n")
  );
  const head = "# A file of /etc/containers/registries.conf.d";
  return [{ path: "registries.conf", text: `${[head, ...entries].join("\n\n")}\n` }];
}

function idms(moved: readonly Moved[], { domain, isInsecure }: Mirror): MirrorFile[] {
  const name = `stowage-${domain.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
  const set = (kind: string, list: string, entries: readonly Moved[]) =>
    entries.length === 0 ? [] : [[
      "apiVersion: config.openshift.io/v1",
      `kind: ${kind}`,
      "metadata:",
      `  name: ${name}`,
      "spec:",
      `  ${list}:`,
      ...entries.flatMap((each) => [
        `    - source: ${quote(nameOf(each))}`,
        "      mirrors:",
        `        - ${quote(`${domain}/${each.target}`)}`,
      ]),
    ].join("\n")];
  const head = isInsecure
    ? `# ${domain} has to be in registrySources.insecureRegistries of image.config.openshift.io too\n`
    : "";
  const sets = [
    ...set("ImageDigestMirrorSet", "imageDigestMirrors", moved),
    ...set("ImageTagMirrorSet", "imageTagMirrors", moved.filter(({ isTagged }) => isTagged)),
  ];
  return [{ path: "mirrors.yaml", text: `${head}${sets.join("\n---\n")}\n` }];
}

function k3s(moved: readonly Moved[], mirror: Mirror): MirrorFile[] {
  const { domain, format, scheme, isInsecure } = mirror;
  const mirrors = hostsOf(moved, format).flatMap(([host, own, base]) => {
    if (host === domain) {
      throw refuse(format, `k3s takes "${host}" for no mirror of itself`, {
        hint: "its images have their names there already: name the sources that are of others",
      });
    }
    const rules = base === undefined ? rulesOf(own, format) : base === "" ? [] : [
      `"^(.*)$": ${quote(`${base}/$1`)}`,
    ];
    return [
      `  ${quote(host)}:`,
      "    endpoint:",
      `      - ${quote(`${scheme}://${domain}`)}`,
      ...rules.length > 0 ? ["    rewrite:", ...rules.map((rule) => `      ${rule}`)] : [],
    ];
  });
  const configs = isInsecure && scheme === "https"
    ? ["configs:", `  ${quote(domain)}:`, "    tls:", "      insecure_skip_verify: true"]
    : [];
  const head = "# /etc/rancher/k3s/registries.yaml or /etc/rancher/rke2/registries.yaml";
  const text = `${[head, "mirrors:", ...mirrors, ...configs].join("\n")}\n`;
  return [{ path: "registries.yaml", text }];
}

/**
 * The order of rules is none, and k3s writes them into another file without escapes: each name fits
 * one rule only, and none has a backslash.
 */
function rulesOf(own: readonly Moved[], format: MirrorFormat): string[] {
  const changed = own.filter(({ path, target }) => path !== target);
  for (const { target, name } of changed) {
    const next = changed.find(({ path }) => path === target);
    if (!next) continue;
    const why = `"${name}" is there by the name that "${nameOf(next)}" has here`;
    throw refuse(format, why, { hint: "give one of them another name with --map" });
  }
  return changed.map(({ path, target }) =>
    `${quote(`^${path.replaceAll(".", "[.]")}$`)}: ${quote(target)}`
  );
}

function containerd(moved: readonly Moved[], mirror: Mirror): MirrorFile[] {
  const { domain, format, scheme, isInsecure } = mirror;
  return hostsOf(moved, format).map(([host, own, base]) => {
    if (base === undefined) {
      const odd = own.find(({ path, target }) => baseOf(path, target) === undefined) ?? own.at(-1);
      const why = `containerd has one mirror for all of "${host}", where ` +
        `"${odd?.path}" is not "${odd?.target}"`;
      throw refuse(format, why, { hint: `rename it as a whole: --map ${host}=PATH` });
    }
    const root = `${scheme}://${domain}`;
    const capabilities = own.some(({ isTagged }) => isTagged) ? ["pull", "resolve"] : ["pull"];
    const lines = [
      `[host.${quote(base === "" ? root : `${root}/v2/${base}`)}]`,
      `  capabilities = [${capabilities.map(quote).join(", ")}]`,
      ...base === "" ? [] : ["  override_path = true"],
      ...isInsecure && scheme === "https" ? ["  skip_verify = true"] : [],
    ];
    // This is how each system takes a port in the name of a folder.
    const folder = host.replace(/:(\d+)$/, "_$1_");
    return { path: `${folder}/hosts.toml`, text: `${lines.join("\n")}\n` };
  });
}

/**
 * What is mirrored of each registry, with the path in the mirror that all of it is below; that is
 * `undefined` where it has other names there. These formats ask the mirror for every name of a
 * registry, so that none may lead to what was pushed from another one.
 */
function hostsOf(
  moved: readonly Moved[],
  format: MirrorFormat,
): (readonly [string, readonly Moved[], string | undefined])[] {
  return [...Map.groupBy(moved, ({ host }) => host)].map(([host, own]) => {
    const bases = new Set(own.map(({ path, target }) => baseOf(path, target)));
    const [base] = bases.size === 1 ? bases : [];
    for (const other of moved) {
      if (other.host === host || !other.isTagged) continue;
      const rest = base === undefined || base === "" ? other.target : behind(other.target, base);
      if (rest === undefined || own.some(({ path }) => path === rest)) continue;
      throw ambiguous(format, `${host}/${rest}`, other, host);
    }
    return [host, own, base];
  });
}

/** What stands before a path in the mirror, where nothing else was changed. */
function baseOf(path: string, target: string): string | undefined {
  if (path === target) return "";
  return target.endsWith(`/${path}`) ? target.slice(0, -path.length - 1) : undefined;
}

function behind(path: string, folder: string): string | undefined {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
}

function ambiguous(format: MirrorFormat, name: string, other: Moved, host: string): UsageError {
  const hosts = [...new Set([host, other.host])];
  const maps = hosts.map((each) => `--map ${each}=${each.replace(/:\d+$/, "")}`).join(" ");
  const why = `"${name}" would be "${nameOf(other)}" there`;
  const hint = hosts.length > 1
    ? `give each registry a path of its own: ${maps}`
    : "give one of them another path with --map";
  return refuse(format, why, { hint });
}

function refuse(format: MirrorFormat, why: string, options: { hint: string }): UsageError {
  return new UsageError(`Cannot write mirrors as ${format}: ${why}`, options);
}

function nameOf({ host, path }: Moved): string {
  return `${host}/${path}`;
}

function isFormat(text: string): text is MirrorFormat {
  return Object.hasOwn(FORMATS, text);
}

/** As TOML and YAML both have it. */
function quote(text: string): string {
  return JSON.stringify(text);
}
