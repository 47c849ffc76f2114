import type { Tls } from "../../tests/support/tls.ts";

/** Who gives tokens, as registries on the internet have one. */
export interface TokenServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
}

/** What a registry has to say of it. */
export const TOKENS = { service: "bench", issuer: "bench" } as const;

/** How long a token is good, in seconds. */
const LIFE = 300;

/**
 * Starts who gives anybody a token to pull what is asked for, as
 * https://distribution.github.io/distribution/spec/auth/jwt/ has it.
 *
 * @param tls Its certificate, which also signs the tokens.
 * @returns The server; `await using` ends it.
 */
export async function startTokenServer(tls: Tls): Promise<TokenServer> {
  const [cert, key] = await Promise.all([tls.cert, tls.key].map((path) => Deno.readTextFile(path)));
  if (cert === undefined || key === undefined) throw new Error("there is no certificate");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const signer = await crypto.subtle.importKey("pkcs8", derOf(key), algorithm, false, ["sign"]);
  const header = { typ: "JWT", alg: "ES256", x5c: [derOf(cert).toBase64()] };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} },
    async ({ url }) => {
      const scopes = new URL(url).searchParams.getAll("scope");
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        ...{ iss: TOKENS.issuer, aud: TOKENS.service, sub: "", jti: crypto.randomUUID() },
        ...{ iat: now, nbf: now - 60, exp: now + LIFE },
        access: scopes.map((scope) => {
          const [type, name] = scope.split(":");
          return { type, name, actions: ["pull"] };
        }),
      };
      const text = [header, claims].map((part) => encode(JSON.stringify(part))).join(".");
      const bytes = new TextEncoder().encode(text);
      const signature = new Uint8Array(await crypto.subtle.sign(algorithm, signer, bytes));
      return Response.json({ token: `${text}.${encode(signature)}`, expires_in: LIFE });
    },
  );
  return {
    host: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function encode(part: string | Uint8Array): string {
  const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The bytes of a PEM file. */
function derOf(pem: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(pem.replace(/-----[^-]+-----/g, ""));
}
