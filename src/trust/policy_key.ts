import { readOutside } from "../lib/fs/outside_file.ts";
import type { Requirements } from "./policy.ts";

/** A key or certificate that a policy names. */
export interface PolicyKey {
  /** What it has to be. */
  readonly kind: KeyKind;
  /** What it is called in the policy. */
  readonly field: string;
  /** Its file, where it is not in the policy itself. */
  readonly path?: string;
  /** What the policy has of it, in base64. */
  readonly data?: string;
}

/** What a key has to be. */
interface KeyKind {
  /** Whether some bytes are one. */
  isIn(bytes: Uint8Array): boolean;
  /** What is wrong with those that are none. */
  readonly problem: string;
}

const PUBLIC_KEY_PACKET = 6;
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const GPG: KeyKind = {
  /** Armored, or in packets (RFC 4880): the first of an export is the public key. */
  isIn(bytes) {
    const [first = 0] = bytes;
    if (first < 0x80) return textOf(bytes).includes("-----BEGIN PGP PUBLIC KEY BLOCK-----");
    const tag = first & 0x40 ? first & 0x3f : (first & 0x3c) >> 2;
    return tag === PUBLIC_KEY_PACKET;
  },
  problem: "has no GPG public key: `gpg --export` makes one",
};

const PUBLIC_KEY: KeyKind = {
  isIn: (bytes) => /-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(textOf(bytes)),
  problem: "has no public key in PEM, as `cosign.pub` is",
};

const CERTIFICATE: KeyKind = {
  isIn: (bytes) => textOf(bytes).includes("-----BEGIN CERTIFICATE-----"),
  problem: "has no certificate in PEM",
};

/**
 * Finds the keys and certificates that a requirement names.
 *
 * @param requirement The requirement.
 * @returns All of them.
 */
export function keysOf(requirement: Requirements[number]): PolicyKey[] {
  const { type, fulcio = {}, pki = {} } = requirement;
  return [
    ...keysIn(requirement, type === "signedBy" ? GPG : PUBLIC_KEY),
    ...keysIn(fulcio, CERTIFICATE),
    ...keysIn(pki, CERTIFICATE),
  ];
}

function keysIn(fields: Readonly<Record<string, unknown>>, kind: KeyKind): PolicyKey[] {
  return Object.entries(fields).flatMap(([field, value]) => {
    const [, form] = /(Path|Data)s?$/.exec(field) ?? [];
    if (form === undefined) return [];
    return [value].flat().filter((each) => typeof each === "string").map((each) =>
      form === "Path" ? { kind, field, path: each } : { kind, field, data: each }
    );
  });
}

/**
 * Says what is wrong with a key of a policy: skopeo reads it only where an image is signed, and then
 * does not name it.
 *
 * @param key The key.
 * @returns What is wrong with it; `undefined` if nothing is.
 */
export async function explainKey({ kind, field, path, data }: PolicyKey): Promise<
  string | undefined
> {
  const name = path === undefined ? `its ${field}` : `its key "${path}"`;
  try {
    const bytes = path === undefined
      ? Uint8Array.from(atob(data ?? ""), (char) => char.charCodeAt(0))
      : await readOutside(path);
    return kind.isIn(bytes) ? undefined : `${name} ${kind.problem}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `${name} is not there`;
    return `${name} cannot be read: ${error instanceof Error ? error.message : error}`;
  }
}
