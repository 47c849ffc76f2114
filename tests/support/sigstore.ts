import { sign as signBytes } from "node:crypto";
import { join } from "@std/path";
import { type PushedIndex, putBlob, putManifest } from "./images.ts";
import type { Registry } from "./registry.ts";
import { run } from "./run.ts";

/** A key that signs images as cosign does, beside them in their registry. */
export interface SigstoreKey {
  /** File with the public key. */
  readonly publicKey: string;
  /** File with the private key. */
  readonly privateKey: string;
  /** The certificate in PEM, where the key has one. */
  readonly certificate?: string;
}

/** An authority that makes certificates for who signs. */
export interface SigstoreAuthority {
  /** File with its certificate. */
  readonly cert: string;
  /** Makes a key with a certificate for a mail address. */
  certify(email: string): Promise<SigstoreKey>;
}

const EC = ["-pkeyopt", "ec_paramgen_curve:P-256"];

/**
 * Makes a key.
 *
 * @param base Where its files go, without `.key` and `.pub`.
 * @returns The key.
 */
export async function makeSigstoreKey(base: string): Promise<SigstoreKey> {
  const [privateKey, publicKey] = [`${base}.key`, `${base}.pub`];
  await run("openssl", ["genpkey", "-algorithm", "EC", ...EC, "-out", privateKey]);
  await run("openssl", ["pkey", "-in", privateKey, "-pubout", "-out", publicKey]);
  return { privateKey, publicKey };
}

/**
 * Makes an authority.
 *
 * @param dir Where its files go.
 * @returns The authority.
 */
export async function makeSigstoreAuthority(dir: string): Promise<SigstoreAuthority> {
  const [cert, key] = [join(dir, "signers.pem"), join(dir, "signers.key")];
  const request = ["req", "-x509", "-nodes", "-newkey", "ec", ...EC, "-days", "2"];
  await run("openssl", [
    ...[...request, "-subj", "/CN=signers", "-keyout", key, "-out", cert],
    ...["-addext", "keyUsage=critical,keyCertSign"],
  ]);
  return {
    cert,
    async certify(email) {
      const base = join(dir, email);
      await run("openssl", [
        ...[...request, "-subj", "/CN=signer", "-keyout", `${base}.key`, "-out", `${base}.pem`],
        ...["-CA", cert, "-CAkey", key, "-addext", "basicConstraints=critical,CA:FALSE"],
        ...["-addext", "extendedKeyUsage=codeSigning"],
        ...["-addext", `subjectAltName=email:${email}`],
      ]);
      const certificate = await Deno.readTextFile(`${base}.pem`);
      return { privateKey: `${base}.key`, publicKey: `${base}.pem`, certificate };
    },
  };
}

/**
 * Signs an image of a registry with keys of sigstore, as the attachment that cosign makes; for that
 * no skopeo is needed that can.
 *
 * @param registry Where it is.
 * @param image The image.
 * @param keys The keys, each for a signature.
 * @param identity The name that the signatures are for; the image's own, unless told.
 */
export async function signSigstore(
  registry: Registry,
  image: PushedIndex,
  keys: readonly SigstoreKey[],
  identity = image.reference,
): Promise<void> {
  const path = image.name.slice(image.name.indexOf("/") + 1);
  const payload = JSON.stringify({
    critical: {
      identity: { "docker-reference": identity },
      image: { "docker-manifest-digest": image.digest },
      type: "cosign container image signature",
    },
    optional: null,
  });
  const layer = await putBlob(registry, path, payload);
  const layers = await Promise.all(keys.map(async ({ privateKey, certificate }) => {
    const key = await Deno.readTextFile(privateKey);
    const signature = signBytes("sha256", new TextEncoder().encode(payload), key);
    return {
      mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
      ...layer,
      annotations: {
        "dev.cosignproject.cosign/signature": signature.toString("base64"),
        ...(certificate && { "dev.sigstore.cosign/certificate": certificate }),
      },
    };
  }));
  const config = {
    ...{ architecture: "", os: "", config: {} },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      ...await putBlob(registry, path, JSON.stringify(config)),
    },
    layers,
  };
  const tag = `${image.digest.replace(":", "-")}.sig`;
  await putManifest(registry, `${path}:${tag}`, JSON.stringify(manifest), manifest.mediaType);
}
