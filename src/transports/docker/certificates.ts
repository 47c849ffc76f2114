import { join } from "@std/path";
import { codeOf } from "../../lib/fs/files.ts";
import { ofOddFile, readIfThere, readOutside } from "../../lib/fs/outside_file.ts";
import { Unserved } from "./errors.ts";
import { homeFolder } from "../../lib/fs/home.ts";

/** What a registry's certificate is checked by, and what this machine shows to it. */
export interface Certificates {
  /** Authorities, beside the well-known ones; PEM. */
  readonly caCerts: string[];
  /** This machine's own certificates, each with its key, PEM; in the order of their names. */
  readonly pairs: readonly { readonly cert: string; readonly key: string }[];
}

/** Where systems keep their authorities, in the order of Go's crypto/x509. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * Finds the folder with a registry's certificates.
 *
 * @param domain The registry's host with its port, as references have it.
 * @returns The first that is there, or `undefined`.
 */
export async function findCertDir(domain: string): Promise<string | undefined> {
  const folders = [
    join(await homeFolder(), ".config/containers/certs.d"),
    "/etc/containers/certs.d",
    "/etc/docker/certs.d",
  ];
  for (const folder of folders) {
    const path = join(folder, domain);
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  return undefined;
}

/**
 * Reads this machine's authorities, and what a folder adds to them.
 *
 * @param certDir Folder with `*.crt` (authorities), `*.cert` and `*.key` (this machine's own);
 * one that is not there says nothing.
 * @returns What it found.
 * @throws {Unserved} If something in the folder cannot be read or used.
 */
export async function readCertificates(certDir: string | undefined): Promise<Certificates> {
  const caCerts = await readMachineCerts();
  if (certDir === undefined) return { caCerts, pairs: [] };
  const names = (await listOrNone(certDir)).sort();
  for (const name of names) {
    if (name.endsWith(".crt")) caCerts.push(await readText(join(certDir, name)));
  }
  const own = new Set(names.flatMap((name) => /^(.*)\.(?:cert|key)$/.exec(name)?.[1] ?? []));
  const pairs = await Promise.all([...own].map(async (base) => ({
    cert: await readText(join(certDir, `${base}.cert`)),
    key: await readText(join(certDir, `${base}.key`)),
  })));
  return { caCerts, pairs };
}

/**
 * Reads the authorities that this machine trusts.
 *
 * @returns What its files say, PEM.
 */
export async function readMachineCerts(): Promise<string[]> {
  const named = Deno.env.get("SSL_CERT_FILE");
  const folders = Deno.env.get("SSL_CERT_DIR")?.split(":").filter(Boolean) ?? [];
  for (const path of named ? [named] : BUNDLES) {
    const bytes = await readIfThere(path).catch(() => undefined);
    if (bytes) return [new TextDecoder().decode(bytes)];
  }
  // Beside a bundle they mostly have the same, in hundreds of files; skopeo knows what they add.
  const found: string[] = [];
  for (const folder of folders) {
    for (const name of await listOrNone(folder).catch(() => [])) {
      const bytes = await readIfThere(join(folder, name)).catch(() => undefined);
      if (bytes) found.push(new TextDecoder().decode(bytes));
    }
  }
  return found;
}

async function listOrNone(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (["ENOENT", "EACCES"].includes(codeOf(error) ?? "")) return [];
    throw new Unserved(`cannot read the folder "${folder}"`);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await readOutside(path));
  } catch (error) {
    throw ofOddFile(path, error) ?? new Unserved(`cannot read the certificate "${path}"`);
  }
}
