import * as v from "valibot";
import { readAtMost } from "./body.ts";
import { RegistryError, Unserved } from "./errors.ts";
import type { HttpAnswer } from "./transport.ts";

const MAX_ERROR_BODY = 4 * 2 ** 10;
const ErrorBody = v.object({ errors: v.array(v.object({ code: v.string() })) });

/**
 * Explains an answer that is not what was asked for, and ends it.
 *
 * @param answer The answer.
 * @param what What was asked for.
 * @returns A {@linkcode RegistryError} where it may work in a moment, else {@linkcode Unserved}.
 */
export async function explainStatus(
  answer: HttpAnswer,
  what: string,
): Promise<RegistryError | Unserved> {
  const { status, host } = answer;
  const code = await readCode(answer);
  const message = `"${host}" answers ${status}${code ? ` (${code})` : ""} for ${what}`;
  if (status === 429) return new RegistryError("rate-limited", message, true);
  const isTransient = status >= 500 || status === 408 || status === 425;
  return isTransient ? new RegistryError("unreachable", message, true) : new Unserved(message);
}

/** The code only: what else a registry says may repeat what it was told, such as a password. */
async function readCode({ body }: HttpAnswer): Promise<string | undefined> {
  try {
    const bytes = await readAtMost(body, MAX_ERROR_BODY, "the error");
    const { errors } = v.parse(ErrorBody, JSON.parse(new TextDecoder().decode(bytes)));
    return errors.map(({ code }) => code).find((code) => /^[A-Z_]{1,40}$/.test(code));
  } catch {
    return undefined;
  }
}
