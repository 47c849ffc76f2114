import * as v from "valibot";
import type { Same } from "./same.ts";
import { closed, described, Path, Reference, RepositoryPrefix } from "./schema_parts.ts";

/** Which name a signature has to be for. */
export type SignedIdentity =
  | {
    /**
     * The image's own name: with its tag (`matchExact`), its repository (`matchRepository`), or
     * the repository if the config pins the image by digest, else with its tag.
     */
    readonly type: "matchExact" | "matchRepoDigestOrExact" | "matchRepository";
  }
  | {
    /** One name with its tag, whatever the image is called here. */
    readonly type: "exactReference";
    /** The name. */
    readonly dockerReference: string;
  }
  | {
    /** One repository, whatever the image is called here. */
    readonly type: "exactRepository";
    /** The repository. */
    readonly dockerRepository: string;
  }
  | {
    /** The name that the image had before it was copied to where it is. */
    readonly type: "remapIdentity";
    /** How names begin where the image is. */
    readonly prefix: string;
    /** How they began where it was signed. */
    readonly signedPrefix: string;
  };

/** What requirements of both kinds of signatures take. */
export interface SignedOptions {
  /** Which name the signature has to be for; `matchRepoDigestOrExact` if absent. */
  readonly signedIdentity?: SignedIdentity;
}

/** The file with a public key; of GPG it may have several. */
export interface KeyPath {
  /** The file, absolute or relative to the config. */
  readonly keyPath: string;
}

/** Files with public keys; any key will do. */
export interface KeyPaths {
  /** The files, absolute or relative to the config. */
  readonly keyPaths: readonly string[];
}

/** A public key in the config itself. */
export interface KeyData {
  /** What the file would have, in base64. */
  readonly keyData: string;
}

/** Public keys of sigstore in the config itself; any of them will do. */
export interface KeyDatas {
  /** What the files would have, each in base64. */
  readonly keyDatas: readonly string[];
}

/** A certificate that a Fulcio server has made for who signs. It takes a key of Rekor too. */
export interface FulcioCertificate {
  /** Whom it is for, and who vouches for that. */
  readonly fulcio: {
    /** File with the server's certificates. */
    readonly caPath?: string;
    /** The same in base64; this or `caPath`. */
    readonly caData?: string;
    /** Who has identified the signer, such as `https://github.com/login/oauth`. */
    readonly oidcIssuer: string;
    /** The signer's mail address. */
    readonly subjectEmail: string;
  };
}

/** A certificate of other authorities, such as a company's own. */
export interface PkiCertificate {
  /** Whom it is for, and who vouches for that. */
  readonly pki: {
    /** File with the authorities' certificates. */
    readonly caRootsPath?: string;
    /** The same in base64; this or `caRootsPath`. */
    readonly caRootsData?: string;
    /** File with the certificates between theirs and the signer's. */
    readonly caIntermediatesPath?: string;
    /** The same in base64; at most one of the two. */
    readonly caIntermediatesData?: string;
    /** The signer's mail address. */
    readonly subjectEmail?: string;
    /** The signer's host name; this, `subjectEmail`, or both. */
    readonly subjectHostname?: string;
  };
}

/**
 * Public keys of Rekor servers, in at most one of the fields: a signature has to be in the log of
 * one of them. It has the proof with it, so that no server is asked.
 */
export interface RekorKeys {
  /** File with the key, absolute or relative to the config. */
  readonly rekorPublicKeyPath?: string;
  /** Files with keys; any of them will do. */
  readonly rekorPublicKeyPaths?: readonly string[];
  /** The key in base64. */
  readonly rekorPublicKeyData?: string;
  /** Keys in base64; any of them will do. */
  readonly rekorPublicKeyDatas?: readonly string[];
}

/** Whose GPG signature it has to be. */
export type GpgKeys = KeyPath | KeyPaths | KeyData;

/** Whose sigstore signature it has to be. */
export type SigstoreKeys = GpgKeys | KeyDatas | FulcioCertificate | PkiCertificate;

/** What a requirement of sigstore signatures takes besides the keys. `pki` goes without Rekor. */
export interface SigstoreOptions extends SignedOptions, RekorKeys {}

/** What a signature policy asks of an image, after containers-policy.json(5). */
export type Requirement =
  | {
    /** No image passes; any passes. */
    readonly type: "reject" | "insecureAcceptAnything";
  }
  | GpgKeys & SignedOptions & {
    /** A GPG signature. */
    readonly type: "signedBy";
  }
  | SigstoreKeys & SigstoreOptions & {
    /** A sigstore signature. */
    readonly type: "sigstoreSigned";
  };

const hasTagOrDigest = (text: string) => /[:@][^/]*$/.test(text);

const Identity = v.variant("type", [
  closed({
    type: described(
      v.picklist(["matchExact", "matchRepoDigestOrExact", "matchRepository"]),
      "The image's own name: with its tag (matchExact), its repository (matchRepository), or the repository if the config pins the image by digest, else with its tag",
    ),
  }),
  closed({
    type: described(
      v.literal("exactReference"),
      "One name with its tag, whatever the image is called here",
    ),
    dockerReference: described(
      v.pipe(Reference, v.check(hasTagOrDigest, "a name with its tag or digest")),
      "The name",
    ),
  }),
  closed({
    type: described(
      v.literal("exactRepository"),
      "One repository, whatever the image is called here",
    ),
    dockerRepository: described(Reference, "The repository"),
  }),
  closed({
    type: described(
      v.literal("remapIdentity"),
      "The name that the image had before it was copied to where it is",
    ),
    prefix: described(RepositoryPrefix, "How names begin where the image is"),
    signedPrefix: described(RepositoryPrefix, "How they began where it was signed"),
  }),
]);

const Text = v.pipe(v.string(), v.nonEmpty("a text that is not empty"));
const Paths = v.pipe(v.array(Path), v.nonEmpty("at least one path"));
const Data = v.pipe(Text, v.base64("base64"));
const Datas = v.pipe(v.array(Data), v.nonEmpty("at least one key"));

/** How many of some keys an object has. */
const count = (keys: readonly string[]) => (of: object) =>
  keys.filter((key) => Object.hasOwn(of, key)).length;

const roots = count(["caRootsPath", "caRootsData"]);
const intermediates = count(["caIntermediatesPath", "caIntermediatesData"]);
const subjects = count(["subjectEmail", "subjectHostname"]);

const Fulcio = v.pipe(
  closed({
    caPath: v.exactOptional(described(Path, "File with the server's certificates")),
    caData: v.exactOptional(described(Data, "The same in base64; this or caPath")),
    oidcIssuer: described(
      Text,
      "Who has identified the signer, such as https://github.com/login/oauth",
    ),
    subjectEmail: described(Text, "The signer's mail address"),
  }),
  v.check((fulcio) => count(["caPath", "caData"])(fulcio) === 1, 'either "caPath" or "caData"'),
);

const Pki = v.pipe(
  closed({
    caRootsPath: v.exactOptional(described(Path, "File with the authorities' certificates")),
    caRootsData: v.exactOptional(described(Data, "The same in base64; this or caRootsPath")),
    caIntermediatesPath: v.exactOptional(
      described(Path, "File with the certificates between theirs and the signer's"),
    ),
    caIntermediatesData: v.exactOptional(
      described(Data, "The same in base64; at most one of the two"),
    ),
    subjectEmail: v.exactOptional(described(Text, "The signer's mail address")),
    subjectHostname: v.exactOptional(
      described(Text, "The signer's host name; this, subjectEmail, or both"),
    ),
  }),
  v.check((pki) => roots(pki) === 1, 'either "caRootsPath" or "caRootsData"'),
  v.check(
    (pki) => intermediates(pki) <= 1,
    'at most one of "caIntermediatesPath" and "caIntermediatesData"',
  ),
  v.check((pki) => subjects(pki) > 0, '"subjectEmail" or "subjectHostname"'),
);

const signed = {
  signedIdentity: v.exactOptional(
    described(Identity, "Which name the signature has to be for; matchRepoDigestOrExact if absent"),
  ),
};
const gpg = { type: described(v.literal("signedBy"), "A GPG signature"), ...signed };
const sigstore = {
  type: described(v.literal("sigstoreSigned"), "A sigstore signature"),
  ...signed,
  rekorPublicKeyPath: v.exactOptional(
    described(Path, "File with the key, absolute or relative to the config"),
  ),
  rekorPublicKeyPaths: v.exactOptional(described(Paths, "Files with keys; any of them will do")),
  rekorPublicKeyData: v.exactOptional(described(Data, "The key in base64")),
  rekorPublicKeyDatas: v.exactOptional(described(Datas, "Keys in base64; any of them will do")),
};
const REKOR = Object.keys(sigstore).filter((key) => key.startsWith("rekor"));
const rekor = count(REKOR);

const Unsigned = closed({
  type: described(v.picklist(["reject", "insecureAcceptAnything"]), "No image passes; any passes"),
});
/** By the key that has to be there, which none of the others may be beside. */
const GPG = {
  keyPath: described(
    closed({ ...gpg, keyPath: described(Path, "The file, absolute or relative to the config") }),
    "The file, absolute or relative to the config",
  ),
  keyPaths: described(
    closed({ ...gpg, keyPaths: described(Paths, "The files, absolute or relative to the config") }),
    "The files, absolute or relative to the config",
  ),
  keyData: described(
    closed({ ...gpg, keyData: described(Data, "What the file would have, in base64") }),
    "What the file would have, in base64",
  ),
};
const SIGSTORE = {
  keyPath: described(
    closed({
      ...sigstore,
      keyPath: described(Path, "The file, absolute or relative to the config"),
    }),
    "The file, absolute or relative to the config",
  ),
  keyPaths: described(
    closed({
      ...sigstore,
      keyPaths: described(Paths, "The files, absolute or relative to the config"),
    }),
    "The files, absolute or relative to the config",
  ),
  keyData: described(
    closed({ ...sigstore, keyData: described(Data, "What the file would have, in base64") }),
    "What the file would have, in base64",
  ),
  keyDatas: described(
    closed({
      ...sigstore,
      keyDatas: described(Datas, "What the files would have, each in base64"),
    }),
    "What the files would have, each in base64",
  ),
  fulcio: described(
    closed({ ...sigstore, fulcio: described(Fulcio, "Whom it is for, and who vouches for that") }),
    "Whom it is for, and who vouches for that",
  ),
  pki: described(
    closed({ ...sigstore, pki: described(Pki, "Whom it is for, and who vouches for that") }),
    "Whom it is for, and who vouches for that",
  ),
};
const Any = v.union([Unsigned, ...Object.values(GPG), ...Object.values(SIGSTORE)]);
const ByType = v.variant("type", [Unsigned, GPG.keyPath, SIGSTORE.keyPath]);

/** The schema of {@linkcode Requirement}; the mistakes are those of the one that was meant. */
export const RequirementSchema = v.pipe(
  v.lazy((input) => {
    if (input === undefined) return Any;
    const given = new Map(Object.entries(Object(input)));
    const of = <Schema>(kinds: { readonly keyPath: Schema } & Readonly<Record<string, Schema>>) =>
      Object.entries(kinds).find(([key]) => given.has(key))?.[1] ?? kinds.keyPath;
    switch (given.get("type")) {
      case "signedBy":
        return of(GPG);
      case "sigstoreSigned":
        return of(SIGSTORE);
      default:
        return ByType;
    }
  }),
  v.check((requirement) => rekor(requirement) <= 1, `at most one of ${REKOR.join(", ")}`),
  v.check(
    (requirement) => !("fulcio" in requirement) || rekor(requirement) > 0,
    `one of ${REKOR.join(", ")} beside fulcio`,
  ),
  v.check(
    (requirement) => !("pki" in requirement) || rekor(requirement) === 0,
    "no public key of Rekor beside pki",
  ),
);
true satisfies Same<v.InferOutput<typeof RequirementSchema>, Requirement>;

/**
 * No image passes.
 *
 * @returns The requirement, as plain data.
 */
export function reject(): Requirement {
  return { type: "reject" };
}

/**
 * Any image passes, signed or not.
 *
 * @returns The requirement, as plain data.
 */
export function insecureAcceptAnything(): Requirement {
  return { type: "insecureAcceptAnything" };
}

/**
 * An image passes if it is signed with one of some GPG keys.
 *
 * @param keys File with the public keys, absolute or relative to the config; or where else they are.
 * @param options Which name the signature has to be for.
 * @returns The requirement, as plain data.
 *
 * @example Usage
 * ```ts
 * import { defineConfig, docker, reject, signedBy } from "@stowage/stowage";
 *
 * defineConfig({
 *   policy: { default: reject(), docker: { "registry.acme.io": signedBy("keys/acme.gpg") } },
 *   registriesD: "registries.d", // where the signatures are
 *   sources: { agent: docker("registry.acme.io/edge/agent:1.4") },
 * });
 * ```
 */
export function signedBy(keys: string | GpgKeys, options: SignedOptions = {}): Requirement {
  return { type: "signedBy", ...(typeof keys === "string" ? { keyPath: keys } : keys), ...options };
}

/**
 * An image passes if it is signed with one of some sigstore keys, or with a certificate. skopeo reads
 * such signatures where a file of `registriesD` says `use-sigstore-attachments: true`. It takes
 * skopeo 1.11 for certificates of Fulcio and for Rekor, 1.17 for several keys, and 1.19 for `pki`;
 * Debian 12's is built without sigstore.
 *
 * @param keys File with the public key, absolute or relative to the config; or whose signature it
 * has to be else.
 * @param options Which name the signature has to be for (cosign signs repositories, without tags),
 * and which log it has to be in.
 * @returns The requirement, as plain data.
 *
 * @example Usage
 * ```ts
 * import { defineConfig, docker, reject, sigstoreSigned } from "@stowage/stowage";
 *
 * const release = sigstoreSigned(
 *   {
 *     fulcio: {
 *       caPath: "keys/fulcio.pem",
 *       oidcIssuer: "https://github.com/login/oauth",
 *       subjectEmail: "release@acme.io",
 *     },
 *   },
 *   { rekorPublicKeyPath: "keys/rekor.pub", signedIdentity: { type: "matchRepository" } },
 * );
 * defineConfig({
 *   policy: { default: reject(), docker: { "ghcr.io/acme": release } },
 *   registriesD: "registries.d",
 *   sources: { agent: docker("ghcr.io/acme/agent:1.4") },
 * });
 * ```
 */
export function sigstoreSigned(
  keys: string | SigstoreKeys,
  options: SigstoreOptions = {},
): Requirement {
  const all = typeof keys === "string" ? { keyPath: keys } : keys;
  return { type: "sigstoreSigned", ...all, ...options };
}
