import * as v from "valibot";
import { StowageError } from "../../errors/mod.ts";
import type { Credentials } from "./auth_file.ts";
import { readAtMost } from "./body.ts";
import type { Challenge } from "./challenge.ts";
import { NoRegistry, Refused, RegistryError } from "./errors.ts";
import { explainStatus } from "./status.ts";
import type { HttpAnswer, HttpRequest, Requester } from "./requester.ts";

/** What lets requests pass for some time. */
export interface Token {
  /** What is sent. */
  readonly text: string;
  /** Until when, in milliseconds of `performance.now()`: nobody sets that clock. */
  readonly expires: number;
}

/** What a token is asked with. */
export interface TokenRequest extends Pick<HttpRequest, "identity" | "signal"> {
  /** What the registry said; its scheme is `bearer`. */
  readonly challenge: Challenge;
  /** What the token is for, such as `repository:acme/app:pull`. */
  readonly scopes: readonly string[];
  /** Who asks; anybody, unless told. */
  readonly credentials?: Credentials | undefined;
  /** Whether the registry itself is reached by HTTPS: then its tokens are as well. */
  readonly isSecure: boolean;
}

const MAX_TOKEN = 64 * 2 ** 10;
/** Servers that say less mean it for one request, which would cost one token each. */
const MIN_LIFETIME_S = 60;

const Answer = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.nullish(v.number()),
});

/**
 * Asks a server for a token, after
 * https://distribution.github.io/distribution/spec/auth/token/
 *
 * @param requester Sends the request.
 * @param request What to ask for, and who asks.
 * @returns The token.
 * @throws {RegistryError} If the server cannot be reached, is ill or none, or where it is must not be
 * told who asks.
 * @throws {Unserved} If it refuses.
 */
export async function requestToken(requester: Requester, request: TokenRequest): Promise<Token> {
  const { identity, signal } = request;
  const answer = await requester.send({
    kind: "tokens",
    identity,
    signal,
    ...formRequest(request),
  });
  if (answer.status !== 200) throw await explainStatus(answer, "a token");
  return await read(answer);
}

type Form = Pick<HttpRequest, "url" | "method" | "form" | "authorization">;

function formRequest(request: TokenRequest): Form {
  const { challenge, scopes, credentials } = request;
  const url = readRealm(request);
  const service = challenge.parameters.get("service");
  const common: [string, string][] = [
    ...service ? [["service", service] as [string, string]] : [],
    ...scopes.map((scope): [string, string] => ["scope", scope]),
  ];
  if (credentials?.identityToken) {
    const form = new URLSearchParams([
      ...common,
      ["grant_type", "refresh_token"],
      ["refresh_token", credentials.identityToken],
      ["client_id", "stowage"],
    ]);
    return { url, method: "POST", form };
  }
  if (credentials?.user) url.searchParams.append("account", credentials.user);
  for (const [name, value] of common) url.searchParams.append(name, value);
  return { url, authorization: credentials?.user ? formatBasic(credentials) : undefined };
}

function readRealm({ challenge, isSecure, identity }: TokenRequest): URL {
  const realm = challenge.parameters.get("realm") ?? "";
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  const protocols = isSecure ? ["https:"] : ["https:", "http:"];
  if (!url || !protocols.includes(url.protocol) || url.username || url.password) {
    throw new Refused(`"${identity.domain}" names no safe place to log in at`);
  }
  return url;
}

/**
 * Writes who logs in as HTTP's basic scheme has it.
 *
 * @param credentials Who logs in.
 * @returns The header's value.
 */
export function formatBasic({ user, password }: Credentials): string {
  return `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}`;
}

async function read({ host, body }: HttpAnswer): Promise<Token> {
  try {
    const bytes = await readAtMost(body, MAX_TOKEN, "the token");
    const answer = v.parse(Answer, JSON.parse(new TextDecoder().decode(bytes)));
    const text = answer.token || answer.access_token;
    // What a header cannot hold is no token.
    if (!text || !/^[\x21-\x7e]+$/.test(text)) throw new TypeError("no token");
    const lifetime = Math.max(answer.expires_in ?? 0, MIN_LIFETIME_S);
    return { text, expires: performance.now() + lifetime * 1000 };
  } catch (error) {
    if (error instanceof RegistryError || error instanceof StowageError) throw error;
    throw new NoRegistry(host, "answers with what is no token");
  }
}
