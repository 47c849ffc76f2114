/** One way to log in that a registry offers, after RFC 9110, section 11. */
export interface Challenge {
  /** Its scheme in lower case, such as `bearer`. */
  readonly scheme: string;
  /** Its parameters, such as `realm`; names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const SCHEME = new RegExp(`(${TOKEN})(?=[ \\t,]|$)`, "y");
const PARAMETER = new RegExp(
  `(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`,
  "y",
);
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;
const SPACE = /[ \t]*/y;
const SEPARATORS = /[ \t]*(?:,[ \t]*)*/y;

/**
 * Reads a `WWW-Authenticate` header: challenges, and the parameters of each, all divided by commas.
 *
 * @param header The header; several of them joined by commas.
 * @returns The challenges in order; those before the first mistake, where it has one.
 */
export function readChallenges(header: string): Challenge[] {
  const scanner = new Scanner(header);
  const challenges: Challenge[] = [];
  scanner.take(SEPARATORS);
  while (!scanner.isAtEnd) {
    const scheme = scanner.take(SCHEME)?.[1];
    if (scheme === undefined) break;
    scanner.take(SPACE);
    const parameters = readParameters(scanner);
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
    scanner.take(SEPARATORS);
  }
  return challenges;
}

function readParameters(scanner: Scanner): Map<string, string> {
  const parameters = new Map<string, string>();
  for (;;) {
    const [, name, quoted, token] = scanner.take(PARAMETER) ?? [];
    if (name === undefined) break;
    const value = quoted?.replace(/\\(.)/g, "$1") ?? token ?? "";
    const key = name.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, value);
    scanner.take(SEPARATORS);
  }
  if (parameters.size === 0) scanner.take(TOKEN68);
  return parameters;
}

/** Takes a text apart from left to right. */
class Scanner {
  #at = 0;

  constructor(private readonly text: string) {}

  get isAtEnd(): boolean {
    return this.#at >= this.text.length;
  }

  /** What a sticky pattern finds here; it is behind then. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text) ?? undefined;
    if (found) this.#at = pattern.lastIndex;
    return found;
  }
}
