import * as v from "valibot";
import { readAtMost } from "./body.ts";
import { judgeStatus } from "../../lib/status.ts";
import { NoRegistry, RegistryError, Unserved } from "./errors.ts";
import { through } from "./network_error.ts";
import { refusal } from "./proxy_refusal.ts";
import type { HttpAnswer } from "./requester.ts";

const MAX_ERROR_BODY = 4 * 2 ** 10;
const ErrorBody = v.object({ errors: v.array(v.object({ code: v.string() })) });

/**
 * Explains an answer that is not what was asked for, and ends it.
 *
 * @param answer The answer.
 * @param what What was asked for.
 * @param passing Codes that may pass here, whatever the status is.
 * @returns A {@linkcode RegistryError} where it may work in a moment, else {@linkcode Unserved}.
 */
export async function explainStatus(
  answer: HttpAnswer,
  what: string,
  passing: readonly string[] = [],
): Promise<RegistryError | Unserved> {
  const { status, host, proxy, isPatient } = answer;
  const code = await readCode(answer);
  if (proxy && status === 407) return refusal(proxy, host, status);
  const answers = `answers ${status}${code ? ` (${code})` : ""}${through(proxy)}`;
  const message = `"${host}" ${answers} for ${what}`;
  // No success of what was asked for, and no error either.
  if (status < 400) return new NoRegistry(host, `${answers} for ${what}`);
  const { reason, isTransient } = judgeStatus(status);
  if (code && passing.includes(code)) {
    return new RegistryError(reason, message, { isTransient: true });
  }
  return isTransient
    ? new RegistryError(reason, message, { isTransient: isPatient })
    : new Unserved(message, reason);
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
