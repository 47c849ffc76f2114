import {
  formatReference,
  InvalidValueError,
  parseReference,
  type Reference,
} from "../../config/mod.ts";
import { UsageError } from "../errors/mod.ts";
import type { SourceNode } from "../graph/node.ts";
import { formatLocation, type Location } from "../transports/mod.ts";

/** Where images are pushed to. */
export interface Destination {
  /** The registry's host with its port. */
  readonly domain: string;
  /** Path that all names are below; empty for the registry itself. */
  readonly base: string;
}

/** Another name for some images. */
export interface NameMap {
  /** A reference or its beginning, or the name of a source. */
  readonly from: string;
  /** What stands in its place, below the destination. */
  readonly to: string;
}

/**
 * Reads where images are pushed to.
 *
 * @param text `REGISTRY[/path]`, such as `registry.site:5000/mirror`.
 * @returns The registry, and the path that all names are below.
 * @throws {UsageError} If it is none.
 */
export function parseDestination(text: string): Destination {
  const plain = text.replace(/^docker:\/\//, "").replace(/\/+$/, "");
  const { domain, path } = parse(
    `${plain}/x`,
    () => new UsageError(`Cannot use "${text}": expected a registry, such as "registry.site:5000"`),
  );
  const base = path.slice(0, -1).replace(/\/$/, "");
  if (`${domain}/${base}`.replace(/\/$/, "") === plain) return { domain, base };
  throw new UsageError(`Cannot use "${text}" as a registry: it names none`, {
    hint: 'say its host with a dot or a port, such as "registry.site:5000/mirror"',
  });
}

/**
 * Reads `FROM=TO`.
 *
 * @param text The text.
 * @returns The two.
 * @throws {UsageError} If it is no such pair.
 */
export function parseMap(text: string): NameMap {
  const [from = "", to, ...more] = text.split("=");
  const trim = (part: string) => part.replace(/\/+$/, "");
  if (trim(from) !== "" && to !== undefined && more.length === 0) {
    return { from: trim(from), to: trim(to) };
  }
  throw new UsageError(`Cannot use "${text}" as a map: expected FROM=TO`, {
    hint: 'such as "docker.io/library=hub" or "quay.io/acme/app:1.4=app:stable"',
  });
}

/**
 * Names a source where it is pushed to: below the destination, a source has its own path, and a tag
 * stands for what it stood for at the source. Its registry is left out, unless a map says otherwise.
 *
 * @param node The source.
 * @param destination Where it is pushed to.
 * @param maps Other names; of those that fit, the longest counts.
 * @returns The name: with a tag, or else with no tag and no digest.
 * @throws {UsageError} If it has no name there, or one that cannot be.
 */
export function nameTarget(
  { source, family, locations: [own] }: Pick<SourceNode, "source" | "family"> & {
    readonly locations: readonly [Location, ...Location[]];
  },
  { domain, base }: Destination,
  maps: readonly NameMap[],
): Reference {
  const reference = "reference" in own ? own.reference : undefined;
  const written = reference
    ? formatReference({
      domain: reference.domain,
      path: reference.path,
      ...(reference.tag !== undefined && { tag: reference.tag }),
    })
    : source;
  const fits = ({ from }: NameMap) =>
    written === from || written.startsWith(`${from}/`) || written.startsWith(`${from}:`);
  const [map] = maps.filter((each) => fits(each) || [source, family].includes(each.from))
    .toSorted((a, b) => b.from.length - a.from.length);
  if (!reference && !map) {
    throw new UsageError(`Cannot push "${source}": ${formatLocation(own)} has no name`, {
      hint: `give it one with --map ${source}=path:tag`,
    });
  }
  const rest = map
    ? `${map.to}${fits(map) ? written.slice(map.from.length) : tagOf(map.to, reference)}`
    : written.slice(written.indexOf("/") + 1);
  const text = [domain, base, rest.replace(/^\/+/, "")].filter(Boolean).join("/");
  const { path, tag } = parse(text, (expected) => {
    const hint = "see --map in stowage push --help";
    return new UsageError(`Cannot push "${source}" as "${text}": expected ${expected}`, { hint });
  });
  const isTagged = text.slice(text.lastIndexOf("/")).includes(":");
  return { domain, path, ...(tag !== undefined && (isTagged || !reference) && { tag }) };
}

/** What is named by its source keeps its tag, unless the map has one. */
function tagOf(to: string, reference: Reference | undefined): string {
  const isTagged = to.slice(to.lastIndexOf("/") + 1).includes(":");
  return isTagged || reference?.tag === undefined ? "" : `:${reference.tag}`;
}

function parse(text: string, refuse: (expected: string) => UsageError): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    throw refuse(error.expected);
  }
}
