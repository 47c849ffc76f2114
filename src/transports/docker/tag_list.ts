import * as v from "valibot";
import { MAX_JSON, readJson } from "../../lib/json.ts";
import { readAtMost } from "./body.ts";
import { NoRegistry } from "./errors.ts";
import { nextPage } from "./next_page.ts";
import type { HttpAnswer } from "./requester.ts";
import { explainStatus } from "./status.ts";

const TagList = v.object({ tags: v.nullish(v.array(v.string())) });
/** How many are asked for at a time. */
const PAGE = 1000;
/** Lists that go on after so many pages are no lists. */
const MAX_PAGES = 1000;

/**
 * Lists the tags of a repository, after
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 *
 * @param ask Asks the registry for a path.
 * @param path The repository.
 * @returns Its tags, all pages of them; `undefined` if there is no such repository.
 * @throws {RegistryError} If the registry cannot be reached, or gives no list.
 * @throws {Unserved} If it denies the repository.
 */
export async function listTags(
  ask: (path: string) => Promise<HttpAnswer>,
  path: string,
): Promise<string[] | undefined> {
  const tags = new Set<string>();
  let next: string | undefined = `/v2/${path}/tags/list?n=${PAGE}`;
  for (let page = 1; next !== undefined; page++) {
    const answer: HttpAnswer = await ask(next);
    if (answer.status === 404 && page === 1) {
      await answer.body.cancel();
      return undefined;
    }
    const what = `the tags of "${path}"`;
    if (answer.status !== 200) throw await explainStatus(answer, what);
    const { host, headers } = answer;
    const read = readJson(await readAtMost(answer.body, MAX_JSON, what));
    const list = v.safeParse(TagList, "json" in read ? read.json : undefined);
    if (!list.success) throw new NoRegistry(host, "gives no list of tags");
    for (const tag of list.output.tags ?? []) tags.add(tag);
    next = nextPage(headers.get("link"), next, host, "tags");
    if (page === MAX_PAGES) throw new NoRegistry(host, "lists tags without end");
  }
  return [...tags];
}
