import { resolve } from "@std/path";
import { UsageError } from "../errors/mod.ts";
import { guard } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";

const LEAST = 32;

/**
 * Reads a secret that several machines share.
 *
 * @param what What it is, for errors.
 * @param file Its file; there is no secret if absent.
 * @param root Folder that a relative path starts from.
 * @returns Its bytes.
 * @throws {UsageError} If it is too short.
 * @throws {StoreError} If it cannot be read.
 */
export async function readSecret(
  what: string,
  file: string | undefined,
  root: string,
): Promise<Uint8Array | undefined> {
  if (file === undefined) return undefined;
  const path = resolve(root, file);
  const secret = await guard("read", path, () => readOutside(path));
  if (secret.length >= LEAST) return secret;
  throw new UsageError(
    `Cannot use the ${what} "${path}": it has ${secret.length} bytes, and at least ${LEAST} are ` +
      "needed",
    { hint: `make one with: head -c 32 /dev/urandom | base64 > ${file}` },
  );
}
