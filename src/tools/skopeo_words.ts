import { outsideWords } from "../lib/words.ts";

/** Codes of https://github.com/opencontainers/distribution-spec, as skopeo writes them. */
const CODES = [
  ...["unknown", "unsupported", "unauthorized", "denied", "unavailable", "toomanyrequests"],
  ...["(?:digest|size|range|name|tag|manifest|pagination number) invalid"],
  ...["(?:name|manifest|manifest blob|blob|blob upload) unknown", "manifest unverified"],
  "blob upload invalid",
].join("|");

/** What a registry, a proxy or a helper wrote itself may repeat what it was told. */
const WRITTEN_BY_OTHERS: readonly RegExp[] = [
  // `denied: you sent Basic …`
  new RegExp(`((?:^|: |\\s|")(?:${CODES})): .*$`),
  // ``error getting credentials - err: exit status 1, out: `…` ``
  /(\berr: [^`]*), out: .*$/,
  /(\berror parsing HTTP \d+ response body)\b.*$/,
  /(\bStatusCode: \d+), .*$/,
  /(\bmalformed HTTP \w+)\b.*$/,
  /(\bparse) \\?".*"(?=: )/,
];
const MAX = 1000;

/**
 * Makes what skopeo says fit to be told: of registries the codes of their errors only.
 *
 * @param text What it says, or its message alone.
 * @returns The same without what others wrote, logins, queries of URLs and control characters.
 */
export function skopeoWords(text: string): string {
  return text.split("\n").map((line) => {
    const own = WRITTEN_BY_OTHERS.reduce((words, pattern) => words.replace(pattern, "$1"), line);
    const words = outsideWords(own);
    return words.length > MAX ? `${words.slice(0, MAX)}…` : words;
  }).join("\n");
}
