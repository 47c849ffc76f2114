import { Refused } from "./errors.ts";

/**
 * Says where a list goes on, after RFC 5988; on another host it would be another's list.
 *
 * @param link The header `Link`.
 * @param from The page that it is of.
 * @param host The registry.
 * @param what What is listed.
 * @returns The path of the next page; `undefined` where there is none.
 * @throws {Refused} If it goes on elsewhere.
 */
export function nextPage(
  link: string | null,
  from: string,
  host: string,
  what: string,
): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? "")?.[1];
  if (target === undefined) return undefined;
  const base = new URL(from, "http://registry.invalid");
  const url = URL.canParse(target, base) ? new URL(target, base) : undefined;
  if (!url || ![base.host, host].includes(url.host)) {
    throw new Refused(`"${host}" continues its list of ${what} elsewhere`);
  }
  return `${url.pathname}${url.search}`;
}
