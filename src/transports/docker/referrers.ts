import { type Index, readManifest } from "../../store/manifest.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { MAX_JSON } from "../../lib/json.ts";
import { readAtMost } from "./body.ts";
import { NoRegistry } from "./errors.ts";
import { nextPage } from "./next_page.ts";
import { MANIFEST_TYPES } from "./site.ts";
import { explainStatus } from "./status.ts";
import type { HttpAnswer } from "./requester.ts";

/** What a registry lists as referring to something. */
export interface ListedReferrer {
  /** Digest of its manifest. */
  readonly digest: string;
  /** Size of its manifest in bytes. */
  readonly size: number;
  /** The tag that stands for it, as cosign's have one. */
  readonly tag?: string;
  /** What it is, where the list says so. */
  readonly artifactType?: string | undefined;
}

/** Asks a registry for a path. */
type Ask = (path: string, headers: Readonly<Record<string, string>>) => Promise<HttpAnswer>;

/** A registry without the API answers with one of these; crane falls back on the same. */
const WITHOUT_API = [400, 404, 405, 406, 501];
/** Lists that go on after so many pages are no lists. */
const MAX_PAGES = 100;
const INDEX = "application/vnd.oci.image.index.v1+json";

/** What cosign adds to the name of an image: of signatures, attestations, SBOMs. */
const COSIGN = ["sig", "att", "sbom"];

/**
 * The tag that stands for what refers to something, where a registry has no API for it, after
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
 *
 * @param subject A digest.
 * @returns The tag.
 */
export function referrersTag(subject: string): string {
  return subject.replace(":", "-");
}

/**
 * Asks a registry what refers to something: by its API, or else by the referrers tag; and which of
 * cosign's tags are there.
 *
 * @param ask Asks the registry.
 * @param path The repository.
 * @param subject Digest of an image or an index.
 * @returns All of it.
 * @throws {RegistryError} If the registry cannot be reached.
 * @throws {Unserved} If it denies it.
 */
export async function listReferrers(
  ask: Ask,
  path: string,
  subject: string,
): Promise<ListedReferrer[]> {
  const listed = await listByApi(ask, path, subject) ?? await listByTag(ask, path, subject);
  const tags = await Promise.all(COSIGN.map(async (end): Promise<ListedReferrer[]> => {
    const tag = `${referrersTag(subject)}.${end}`;
    const answer = await ask(`/v2/${path}/manifests/${tag}`, { accept: MANIFEST_TYPES });
    if (answer.status !== 200 && answer.status !== 404) {
      throw await explainStatus(answer, `"${path}:${tag}"`);
    }
    const bytes = await readAtMost(answer.body, MAX_JSON, `the manifest of "${answer.host}"`);
    if (answer.status === 404) return [];
    return [{ digest: digestOf(bytes), size: bytes.length, tag }];
  }));
  const distinct = new Map(listed.map((each) => [each.digest, each]));
  return [...distinct.values(), ...tags.flat()];
}

/**
 * Asks a registry by its API what refers to something. All kinds are asked for, as the answer need
 * not be filtered (`OCI-Filters-Applied`), and cosign's kinds are not those that a filter goes by.
 *
 * @param ask Asks the registry.
 * @param path The repository.
 * @param subject Digest of an image or an index.
 * @returns All pages; `undefined` where the registry has no such API.
 * @throws {RegistryError} If the registry cannot be reached, or says what is no list.
 * @throws {Unserved} If it denies it.
 */
export async function listByApi(
  ask: Ask,
  path: string,
  subject: string,
): Promise<ListedReferrer[] | undefined> {
  const found: ListedReferrer[] = [];
  let next: string | undefined = `/v2/${path}/referrers/${subject}`;
  for (let page = 1; next !== undefined; page++) {
    const answer: HttpAnswer = await ask(next, { accept: INDEX });
    if (page === 1 && WITHOUT_API.includes(answer.status)) {
      await answer.body.cancel();
      return undefined;
    }
    if (answer.status !== 200) throw await explainStatus(answer, `referrers of "${path}"`);
    const { host, headers } = answer;
    found.push(...(await readList(answer)).manifests);
    next = nextPage(headers.get("link"), next, host, "referrers");
    if (page === MAX_PAGES) throw new NoRegistry(host, "lists referrers without end");
  }
  return found;
}

async function listByTag(ask: Ask, path: string, subject: string): Promise<ListedReferrer[]> {
  const answer = await ask(`/v2/${path}/manifests/${referrersTag(subject)}`, { accept: INDEX });
  if (answer.status === 404) {
    await answer.body.cancel();
    return [];
  }
  if (answer.status !== 200) throw await explainStatus(answer, `referrers of "${path}"`);
  return [...(await readList(answer)).manifests];
}

async function readList({ body, host }: HttpAnswer): Promise<Index> {
  const read = readManifest(await readAtMost(body, MAX_JSON, `the list of "${host}"`));
  if (read.kind === "index") return read.index;
  throw new NoRegistry(host, "answers with what is no index in place of a list of referrers");
}
