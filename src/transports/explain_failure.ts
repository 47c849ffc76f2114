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
import type { Place, PlaceImage } from "./transport.ts";

/** A failure of skopeo, and what its explanation points to. */
export interface Failure {
  /** Name of the item. */
  readonly name: string;
  /** The place that skopeo was run on. */
  readonly place: Place;
  /** The image of it. */
  readonly image: PlaceImage;
  /** What skopeo said. */
  readonly result: ProcessResult;
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
 * @param failure What skopeo said, and what the explanation points to.
 * @returns An {@linkcode Absence}, or the error that ends the item.
 */
export function explainFailure(
  { name, place, image, result, store, policyHint, missing, unread }: Failure,
): Absence | StowageError {
  const { code, stderr } = result;
  const of = { image: image.skopeo, isRemote: place.isRemote };
  const { kind, isTransient, isOfManifest, message } = readFailure(stderr, of);
  const words = place.plain(message);
  switch (kind) {
    case "content":
      return new ContentError(name, `${place.label}: ${words}`, {
        hint: (place.isRemote ? undefined : hintOf(words)) ?? DAMAGED,
      });
    case "policy":
      return new PolicyError(name, words, hintOf(words) ?? withPlace(policyHint, words));
    case "full":
      return new StoreError("STORE_FULL", store, `Cannot store "${name}": ${words}`);
    case "read-only":
      return new StoreError("STORE_READ_ONLY", store, `Cannot store "${name}": ${words}`);
    case "other": {
      return new ToolError("skopeo", {
        exitCode: code,
        stderr: words,
        doing: `fetch "${name}" from ${place.label}`,
        hint: credentialsHint(words) ?? hintOf(words),
      });
    }
    case "machine":
      return unusable(place, words);
    default: {
      const denied = place.isRemote ? unread : "let this user read what is there";
      const hint = hintOf(words) ?? (kind === "denied" ? denied : undefined);
      const said = [words, ...missing].join("; ");
      return new Absence(kind, said, { isTransient, hint, isOfManifest });
    }
  }
}

/** An image that is signed passes for one that is not where its signatures are not looked for. */
function withPlace(policyHint: string | undefined, words: string): string | undefined {
  if (!policyHint || !/no signature exists/.test(words)) return policyHint;
  return `${policyHint}, and registriesD says where signatures are (of sigstore: where it has ` +
    "use-sigstore-attachments: true)";
}

/** No other place would do better with a file of this machine that skopeo cannot use. */
function unusable({ how }: Place, words: string): ConfigFileError {
  const [, path = how.certDir, why = words] =
    /\bunmarshaling JSON at "(\/[^"]*)": (.*)$/.exec(words) ??
      /"(\/[^"]*)": (.*)$/.exec(words) ??
      /\bparsing (\/.*\.yaml): (.*)$/.exec(words) ??
      /\b(?:readdirent|open) (\/.*): (not a directory)$/.exec(words) ?? [];
  const what = path === undefined ? "a file of this machine" : `"${path}"`;
  return new ConfigFileError(`Cannot use ${what}: ${why}`, {
    hint: "mend that file; skopeo, podman and buildah read it too",
  });
}

/** What to do where skopeo could not find out who logs in. */
function credentialsHint(words: string): string | undefined {
  if (/\/auth\.json: permission denied/.test(words)) {
    return "this user may not look for credentials there: set XDG_RUNTIME_DIR to a folder of this " +
      "user, or authFile under registries or on the source";
  }
  if (!words.startsWith("getting username and password: ")) return undefined;
  return "mend the file with credentials, or the helper that it names (docker-credential-… has to " +
    "be on the PATH), or set authFile under registries or on the source";
}
