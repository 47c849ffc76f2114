import type { AttemptReason } from "../../errors/mod.ts";
import { Absence, PlaceError } from "../absence.ts";

/**
 * The client cannot serve what it was asked for: the registry does not have it or denies it, or it
 * is reached in a way that only skopeo knows. skopeo is asked next.
 */
export class Unserved extends PlaceError {
  /**
   * @param message Why not.
   * @param reason The same in a word, where the registry has answered.
   */
  constructor(message: string, reason: AttemptReason | "unsupported" = "unsupported") {
    super(reason, message);
  }
}

/** What answers speaks no TLS at all. */
export class NotTls extends Unserved {}

/** The other side refuses TLS as it is; it may want another certificate of this machine. */
export class TlsAlert extends Unserved {}

/** The certificate is none that Deno takes; skopeo may take it. */
export class OddCertificate extends Unserved {}

/** What was asked for by digest has another one. */
export class WrongManifest extends Unserved {
  /**
   * @param host Who serves it.
   * @param digest The digest that was asked for.
   * @param served What is served in its place.
   */
  constructor(host: string, digest: string, readonly served: Uint8Array) {
    super(`"${host}" answers with what is not ${digest}`);
  }
}

/** A registry, or the way to it, failed: skopeo would do no better. */
export class RegistryError extends Absence {}

/** A part of a blob is not given, in a way that may pass; the whole may be. */
export class RangeRefused extends RegistryError {}

/** The registry asks for what is not safe. skopeo would do it, so that it is not asked either. */
export class Refused extends RegistryError {
  /**
   * @param message What is not safe.
   */
  constructor(message: string) {
    const hint = "it would show a login or an image to all on the way: tell who runs the registry";
    super("denied", message, { hint });
  }
}

/** What answers is no registry. */
export class NoRegistry extends RegistryError {
  /**
   * @param host Who answers.
   * @param what What it does, to follow its name.
   */
  constructor(host: string, what: string) {
    const hint = `look for a typing error in "${host}", and whether a page to log in at, or a ` +
      "proxy, answers in its place";
    super("unreachable", `"${host}" ${what}: it is no registry, or not set up as one`, { hint });
  }
}

/** No answer came, not even a bad one. */
export class Unreachable extends RegistryError {}

/** The other side has ended TLS without a word; it may want another certificate of this machine. */
export class TlsClosed extends Unreachable {}
