import { readOutside } from "../lib/fs/outside_file.ts";

const ARMORED = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const PEM = /-----BEGIN PUBLIC KEY-----/;
const PUBLIC_KEY_PACKET = 6;

/**
 * Says what is wrong with the file of a policy's keys: skopeo reads it only where an image is
 * signed, and then does not name it.
 *
 * @param type The type of the requirement: `signedBy` for GPG, else sigstore.
 * @param path The file.
 * @returns What is wrong with it, to follow its name; `undefined` if nothing is.
 */
export async function explainKey(type: string, path: string): Promise<string | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readOutside(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "is not there";
    return `cannot be read: ${error instanceof Error ? error.message : error}`;
  }
  if (type === "signedBy") {
    return isGpgKey(bytes) ? undefined : "has no GPG public key: `gpg --export` makes one";
  }
  const isPem = PEM.test(new TextDecoder().decode(bytes));
  return isPem ? undefined : "has no public key in PEM, as `cosign.pub` is";
}

/** Armored, or in packets (RFC 4880): the first of an export is the public key. */
function isGpgKey(bytes: Uint8Array): boolean {
  const [first = 0] = bytes;
  if (first < 0x80) return new TextDecoder().decode(bytes).includes(ARMORED);
  const tag = first & 0x40 ? first & 0x3f : (first & 0x3c) >> 2;
  return tag === PUBLIC_KEY_PACKET;
}
