import {
  ConfigFileError,
  ContentError,
  PolicyError,
  StoreError,
  type StowageError,
  ToolError,
} from "../errors/mod.ts";
import type { ProcessResult } from "../tools/process.ts";
import { readFailure } from "../tools/skopeo_failure.ts";
import { Absence, DAMAGED } from "./absence.ts";
import { hintOf } from "./hints.ts";
import type { Place } from "./place.ts";

/** What the explanation of a failure points to. */
export interface Surroundings {
  /** The store's folder. */
  readonly store: string;
  /** What to do where the policy refuses the image. */
  readonly policyHint: string | undefined;
  /** What the config names and is not there. */
  readonly missing: readonly string[];
  /** What to do where logins are kept in a way that is not read. */
  readonly unread: string | undefined;
}

/**
 * Says what a failure of skopeo means for the item that it was run for.
 *
 * @param name Name of the item.
 * @param place The place that it was run on.
 * @param image The image of it, in skopeo's words.
 * @param result What skopeo said.
 * @param surroundings What the explanation points to.
 * @returns An {@linkcode Absence}, or the error that ends the item.
 */
export function explainFailure(
  name: string,
  place: Place,
  image: string,
  { code, stderr }: ProcessResult,
  { store, policyHint, missing, unread }: Surroundings,
): Absence | StowageError {
  const { kind: read, isTransient, message } = readFailure(stderr, image);
  // A signature may be of content that "does not match".
  const kind = message.startsWith("Source image rejected: ") ? "policy" : read;
  const words = place.plain(message);
  switch (kind) {
    case "content":
      return new ContentError(name, `${place.label}: ${words}`, { hint: DAMAGED });
    case "policy":
      return new PolicyError(name, words, policyHint);
    case "full":
      return new StoreError("STORE_FULL", store, `Cannot store "${name}": ${words}`);
    case "read-only":
      return new StoreError("STORE_READ_ONLY", store, `Cannot store "${name}": ${words}`);
    case "other": {
      return new ToolError(
        "skopeo",
        code,
        words,
        `fetch "${name}" from ${place.label}`,
        credentialsHint(words),
      );
    }
    case "machine":
      return unusable(place, words);
    default: {
      const hint = hintOf(words) ?? (kind === "denied" ? unread : undefined);
      return new Absence(kind, [words, ...missing].join("; "), isTransient, { hint });
    }
  }
}

/** No other place would do better with a file of this machine that skopeo cannot use. */
function unusable({ how }: Place, words: string): ConfigFileError {
  const [, path = how.certDir, why = words] = /"(\/[^"]*)": (.*)$/.exec(words) ??
    /\bparsing (\/.*\.yaml): (.*)$/.exec(words) ?? [];
  const what = path === undefined ? "a file of this machine" : `"${path}"`;
  return new ConfigFileError(`Cannot use ${what}: ${why}`, {
    hint: "mend that file; skopeo, podman and buildah read it too",
  });
}

/** What to do where skopeo could not find out who logs in. */
function credentialsHint(words: string): string | undefined {
  if (/\/auth\.json: permission denied/.test(words)) {
    return "this user may not look for credentials there: set XDG_RUNTIME_DIR to a folder of this " +
      "user, or authFile on the source";
  }
  if (!words.startsWith("getting username and password: ")) return undefined;
  return "mend the file with credentials, or the helper that it names (docker-credential-… has to " +
    "be on the PATH), or set authFile on the source";
}
