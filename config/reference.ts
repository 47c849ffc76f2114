import { isDigest } from "./digest.ts";
import { InvalidValueError } from "./invalid_value.ts";

/** A normalised image reference: where a registry keeps an image. */
export interface Reference {
  /** Registry host with its port, such as `docker.io` or `localhost:5000`. */
  readonly domain: string;
  /** Repository path within the registry, such as `library/nginx`. */
  readonly path: string;
  /** Tag; absent only where a digest is given without one. */
  readonly tag?: string;
  /** Digest of the manifest or of the index. */
  readonly digest?: string;
}

// https://github.com/distribution/reference/blob/main/regexp.go
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::[0-9]+)?$/;
/** What to write in place of what skopeo calls an "invalid reference format". */
export const NO_IPV6 = "a host name (skopeo takes no IPv6 address; /etc/hosts can name one)";
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const IMAGE_ID = /^[0-9a-f]{64}$/;
const MAX_NAME_LENGTH = 255;

/**
 * Reads a reference as docker does, or isar's URL form of it.
 *
 * @param text `[host[:port]/]path[:tag][@digest]`, the same behind `docker://`, or
 * `docker://host/image;digest=sha256:…;tag=…`.
 * @returns The reference; `nginx` is `docker.io/library/nginx:latest`.
 * @throws {InvalidValueError} If the text is none of them.
 *
 * @example Usage
 * ```ts
 * import { formatReference, parseReference } from "@stowage/stowage";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatReference(parseReference("nginx")), "docker.io/library/nginx:latest");
 * assertEquals(
 *   formatReference(parseReference("docker://quay.io/acme/app;tag=1.4")),
 *   "quay.io/acme/app:1.4",
 * );
 * ```
 */
export function parseReference(text: string): Reference {
  return withDefaultTag(parseWritten(text));
}

/**
 * Whether a reference names a tag, so that `latest` is not only meant by default.
 *
 * @param text A reference as {@linkcode parseReference} reads it.
 * @returns Whether it does.
 * @throws {InvalidValueError} If it is no reference.
 */
export function hasTag(text: string): boolean {
  return parseWritten(text).tag !== undefined;
}

function parseWritten(text: string): Reference {
  const isUrl = text.startsWith("docker://");
  const [body = "", ...parameters] = isUrl ? text.slice("docker://".length).split(";") : [text];
  const named = parseName(text, body);
  return parameters.length === 0
    ? named
    : { ...named, ...parseParameters(text, named, parameters) };
}

function parseName(text: string, body: string): Reference {
  const [rest = "", digest, ...more] = body.split("@");
  if (more.length > 0 || (digest !== undefined && !isDigest(digest))) {
    throw invalid(text, 'a digest such as "@sha256:<64 hex digits>" behind the name');
  }
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  const name = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) {
    throw invalid(text, 'a tag of at most 128 letters, digits, "_", "." and "-"');
  }
  if (IMAGE_ID.test(body)) throw invalid(text, "a name, which 64 hex digits cannot be");
  const { domain, path } = splitDomain(name);
  if (domain.startsWith("[")) throw invalid(text, `${NO_IPV6} in place of "${domain}"`);
  if (!DOMAIN.test(domain)) throw invalid(text, `a registry host in place of "${domain}"`);
  if (!PATH.test(path)) {
    const lower = path.toLowerCase();
    const hint = PATH.test(lower) ? `a lower-case name, "${lower}"` : "[host[:port]/]path[:tag]";
    throw invalid(text, hint);
  }
  if (domain.length + path.length >= MAX_NAME_LENGTH) {
    throw invalid(text, `a name of at most ${MAX_NAME_LENGTH} characters`);
  }
  return { domain, path, ...(tag !== undefined && { tag }), ...(digest && { digest }) };
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const domain = isDomain ? first : "docker.io";
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain !== "docker.io" && domain !== "index.docker.io") return { domain, path };
  return { domain: "docker.io", path: path.includes("/") ? path : `library/${path}` };
}

function parseParameters(text: string, named: Reference, parameters: string[]): Partial<Reference> {
  const found = new Map<string, string>();
  for (const parameter of parameters) {
    const equals = parameter.indexOf("=");
    const key = parameter.slice(0, equals);
    const value = parameter.slice(equals + 1);
    // bitbake tells its sources apart by it; the image is the same.
    if (key === "name" && value !== "") continue;
    const right = equals > 0 &&
      (key === "tag" ? TAG.test(value) : key === "digest" && isDigest(value));
    if (!right) throw invalid(text, `";digest=sha256:…" or ";tag=…" in place of ";${parameter}"`);
    if (found.has(key)) throw invalid(text, `one ";${key}="`);
    found.set(key, value);
  }
  if ((named.tag && found.has("tag")) || (named.digest && found.has("digest"))) {
    throw invalid(text, "tag and digest once each");
  }
  return Object.fromEntries(found);
}

function withDefaultTag(reference: Reference): Reference {
  return reference.tag || reference.digest ? reference : { ...reference, tag: "latest" };
}

function invalid(text: string, expected: string): InvalidValueError {
  return new InvalidValueError("reference", text, expected);
}

/**
 * Writes a reference.
 *
 * @param reference The reference.
 * @returns `host[:port]/path[:tag][@digest]`.
 */
export function formatReference({ domain, path, tag, digest }: Reference): string {
  return `${domain}/${path}${tag ? `:${tag}` : ""}${digest ? `@${digest}` : ""}`;
}
