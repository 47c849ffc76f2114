import { digestOf } from "./digest.ts";
import { type PushedIndex, putBlob, putManifest } from "./images.ts";
import type { Registry } from "./registry.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const EMPTY = "application/vnd.oci.empty.v1+json";

/** What refers to an image or an index. */
export interface ReferrerOptions {
  /** What it refers to; nothing if absent, as what cosign finds by its tag. */
  readonly subject?: Pick<PushedIndex, "digest" | "mediaType" | "manifest">;
  /** What it is. */
  readonly artifactType?: string;
  /** What is in it. */
  readonly content: string | Uint8Array<ArrayBuffer>;
  /** Media type of that. */
  readonly mediaType?: string;
}

/** A referrer in a registry. */
export interface PushedReferrer extends PushedIndex {
  /** Digest of what is in it. */
  readonly content: string;
}

/**
 * Puts a referrer into a registry; where that has no API, nothing lists it yet.
 *
 * @param registry Where to.
 * @param name `path`, or `path:tag`.
 * @param options What it is, and what it refers to.
 * @returns The referrer.
 */
export async function pushReferrer(
  registry: Registry,
  name: string,
  { subject, artifactType, content, mediaType = "application/octet-stream" }: ReferrerOptions,
): Promise<PushedReferrer> {
  const [path = ""] = name.split(":");
  const config = { mediaType: EMPTY, ...await putBlob(registry, path, "{}") };
  const layer = { mediaType, ...await putBlob(registry, path, content) };
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    ...(artifactType && { artifactType }),
    config,
    layers: [layer],
    ...(subject && { subject: descriptorOf(subject) }),
    annotations: { "org.example.content": layer.digest },
  });
  return { ...await putManifest(registry, name, manifest, MANIFEST), content: layer.digest };
}

/**
 * Puts the list of referrers into a registry that has no API for them.
 *
 * @param registry Where to.
 * @param path The repository.
 * @param subject Digest of what is referred to.
 * @param referrers What refers to it.
 * @returns The list.
 */
export async function pushReferrersTag(
  registry: Registry,
  path: string,
  subject: string,
  referrers: readonly Pick<PushedIndex, "digest" | "mediaType" | "manifest">[],
): Promise<PushedIndex> {
  const manifests = referrers.map(descriptorOf);
  const list = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
  return await putManifest(registry, `${path}:${subject.replace(":", "-")}`, list, INDEX);
}

function descriptorOf(
  { mediaType, digest, manifest }: Pick<PushedIndex, "digest" | "mediaType" | "manifest">,
): Record<string, unknown> {
  const { artifactType } = JSON.parse(manifest);
  const size = new TextEncoder().encode(manifest).length;
  return { mediaType, digest, size, ...(artifactType && { artifactType }) };
}

/** A registry that lists referrers. */
export interface ReferrersApi extends Registry {
  /** All requests so far, as `METHOD /path?query`, in order. */
  readonly requests: string[];
}

/**
 * Starts what gives a registry the API for referrers, as
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers has it.
 *
 * @param registry The registry; it has none.
 * @param options How many are listed on a page.
 * @returns The registry with the API; `await using` ends that, and not the registry.
 */
export function startReferrersApi(
  registry: Registry,
  { pageSize = 100 }: { readonly pageSize?: number } = {},
): ReferrersApi {
  const listed = new Map<string, Record<string, unknown>[]>();
  const requests: string[] = [];
  const closing = new AbortController();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    signal: closing.signal,
    onListen: () => {},
  }, async (request) => {
    const { pathname, search, searchParams, host } = new URL(request.url);
    requests.push(`${request.method} ${pathname}${search}`);
    const of = /^\/v2\/(.+)\/referrers\/(sha256:[0-9a-f]{64})$/.exec(pathname);
    if (of) {
      const all = listed.get(`${of[1]}@${of[2]}`) ?? [];
      const from = Number(searchParams.get("from") ?? 0);
      const next = from + pageSize;
      const link = `<${pathname}?from=${next}>; rel="next"`;
      const manifests = all.slice(from, next);
      return new Response(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }), {
        headers: { "content-type": INDEX, ...(next < all.length && { link }) },
      });
    }
    const body = request.body && new Uint8Array(await request.arrayBuffer());
    const answer = await fetch(`${registry.url}${pathname}${search}`, {
      ...{ method: request.method, redirect: "manual", body, signal: closing.signal },
      headers: [...request.headers].filter(([name]) => name !== "host"),
    });
    const headers = new Headers(answer.headers);
    const location = headers.get("location");
    if (location) headers.set("location", location.replace(registry.host, host));
    const put = /^\/v2\/(.+)\/manifests\//.exec(pathname);
    if (put && body && request.method === "PUT" && answer.ok) {
      const manifest = new TextDecoder().decode(body);
      const { subject, mediaType, annotations } = JSON.parse(manifest);
      if (subject) {
        const key = `${put[1]}@${subject.digest}`;
        const digest = await digestOf(manifest);
        const entry = { ...descriptorOf({ mediaType, digest, manifest }), annotations };
        const others = (listed.get(key) ?? []).filter((one) => one.digest !== digest);
        listed.set(key, [...others, entry]);
        headers.set("oci-subject", subject.digest);
      }
    }
    const isEmpty = [204, 304].includes(answer.status) || request.method === "HEAD";
    if (isEmpty) await answer.body?.cancel();
    return new Response(isEmpty ? null : answer.body, { status: answer.status, headers });
  });
  const host = `127.0.0.1:${server.addr.port}`;
  const url = `http://${host}`;
  return {
    ...registry,
    ...{ host, url, requests },
    fetch: (path, init) => fetch(new URL(path, url), init),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await server.finished;
    },
  };
}
