import type { Rule } from "../../support/mod.ts";

/** A request for a token, as the server saw it. */
export interface SeenTokenRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly authorization: string | null;
  readonly form: URLSearchParams;
}

/** A server of tokens, and what makes a registry ask for them. */
export interface TokenServer extends AsyncDisposable {
  /** All requests so far, in order. */
  readonly requests: readonly SeenTokenRequest[];
  /** What it gives; it may be changed, and another status than 200 refuses. */
  answer: { status: number; token: string; expires_in: number };
  /** What a registry answers that asks for one, in `WWW-Authenticate`. */
  readonly challenge: string;
  /** Lets a proxy in front of a registry answer 401 to all that do not show the token. */
  readonly rule: Rule;
}

/**
 * Starts a server of tokens; a real registry only checks them.
 *
 * @returns The server.
 */
export function startTokenServer(): TokenServer {
  const requests: SeenTokenRequest[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    requests.push({
      method: request.method,
      query: new URL(request.url).searchParams,
      authorization: request.headers.get("authorization"),
      form: new URLSearchParams(await request.text()),
    });
    const { status, ...answer } = result.answer;
    return Response.json(answer, { status });
  });
  const realm = `http://127.0.0.1:${server.addr.port}/token`;
  const challenge = `Bearer realm="${realm}",service="stowage, test",scope="repository:x:pull"`;
  const result: TokenServer = {
    requests,
    answer: { status: 200, token: "first", expires_in: 300 },
    challenge,
    rule: {
      match: ({ headers }) => headers["authorization"] !== `Bearer ${result.answer.token}`,
      fault: { status: 401, headers: { "www-authenticate": `Negotiate, ${challenge}` } },
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return result;
}
