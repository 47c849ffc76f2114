import type { AttemptReason } from "../../errors/mod.ts";

/**
 * The client cannot serve what it was asked for: the registry does not have it or denies it, or it
 * is reached in a way that only skopeo knows. It never leaves `src/sources`.
 */
export class Unserved extends Error {}

/** What answers speaks no TLS at all. */
export class NotTls extends Unserved {}

/** What was asked for by digest has another one. */
export class WrongManifest extends Unserved {
  /**
   * Makes the error.
   *
   * @param host Who serves it.
   * @param digest The digest that was asked for.
   * @param served What is served in its place.
   */
  constructor(host: string, digest: string, readonly served: Uint8Array) {
    super(`"${host}" answers with what is not ${digest}`);
  }
}

/** A registry, or the way to it, failed. It never leaves `src/sources`. */
export class RegistryError extends Error {
  /**
   * Makes the error.
   *
   * @param reason Why, in a word.
   * @param message Why; without secrets, also those that a URL may have.
   * @param isTransient Whether the same may work in a moment.
   */
  constructor(
    readonly reason: AttemptReason,
    message: string,
    readonly isTransient: boolean,
  ) {
    super(message);
  }
}

/** No answer came, not even a bad one. */
export class Unreachable extends RegistryError {}
