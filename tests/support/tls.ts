import { join } from "@std/path";
import { run } from "./run.ts";

/** A server's certificate, and the private authority that signed it. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
  /** The authority's certificate. */
  readonly ca: string;
  /** A folder for `--cert-dir`: it holds the authority's certificate only. */
  readonly certDir: string;
}

/**
 * Makes a private authority, and a certificate that it signs for 127.0.0.1 and localhost.
 *
 * @param dir Where the files go.
 * @returns Their paths.
 */
export async function makeTls(dir: string): Promise<Tls> {
  const certDir = join(dir, "certs");
  await Deno.mkdir(certDir, { recursive: true });
  const tls: Tls = {
    cert: join(dir, "server.crt"),
    key: join(dir, "server.key"),
    ca: join(certDir, "ca.crt"),
    certDir,
  };
  const caKey = join(dir, "ca.key");
  await request("stowage test authority", caKey, tls.ca, [
    "-addext",
    "keyUsage=critical,keyCertSign",
  ]);
  await request("localhost", tls.key, tls.cert, [
    ...["-CA", tls.ca, "-CAkey", caKey],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
  ]);
  return tls;
}

async function request(
  name: string,
  key: string,
  cert: string,
  extra: readonly string[],
): Promise<void> {
  await run("openssl", [
    ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-days", "2", "-subj", `/CN=${name}`, "-keyout", key, "-out", cert],
    ...extra,
  ]);
}
