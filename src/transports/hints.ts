const CA =
  "the registry's certificate is not trusted: put its CA into a folder, as ca.crt, and name that as " +
  "certDir under registries or on the source, or put it into /etc/containers/certs.d/<host:port>";
const CLOCK = "if this machine's clock is wrong (see `date`), set it";

/** What to do about words of skopeo; the first row that fits counts. */
const HINTS: readonly (readonly [words: RegExp, hint: string])[] = [
  [
    /\bsigstore disabled\b/,
    "this skopeo is built without sigstore, as Debian 12's is: install another one, 1.11 or newer",
  ],
  [
    /unsupported docker v2s2 media type/,
    "this skopeo does not know what the image calls its layers: install a newer one; 1.21 and later " +
    "read docker's name for zstd",
  ],
  [
    / is blocked in /,
    "registries.conf of this machine has blocked = true for it: change that, or add a fallback",
  ],
  [
    /HTTP response to HTTPS client/,
    "the registry has no TLS: if that is meant, set tlsVerify: false under registries or on the source " +
    "(stowage add takes --tls-verify false)",
  ],
  [
    /Size mismatch when copying .*, expected 0, got /,
    "the archive has a layer of several images once, and links to it, which skopeo does not follow: " +
    "save each image into an archive of its own",
  ],
  [
    /Digest did not match, expected \S+, got sha256:e3b0c44298fc1c149afbf4c8996fb924/,
    "nothing is there: an archive may have a layer of several images once, and link to it, which " +
    "skopeo does not follow, so save each image into an archive of its own; else it is damaged",
  ],
  [/x509: .* is before /, `the registry's certificate does not count yet: ${CLOCK}`],
  [
    /x509: certificate has expired/,
    `the registry's certificate has expired: tell who runs it; ${CLOCK}`,
  ],
  [
    /x509: certificate is (?:valid for .*, not |not valid for any names)/,
    "the registry's certificate is for other names: use one of those in the reference, or tell who " +
    "runs it to add this one (subjectAltName)",
  ],
  [
    /x509: (?:cannot validate certificate for |certificate relies on legacy Common Name)/,
    "the registry's certificate does not name the host as subjectAltName (its common name does not " +
    "count): tell who runs it to add DNS:<host> or IP:<address>",
  ],
  [/x509: certificate signed by unknown authority/, CA],
  [
    /x509: .*insecure algorithm/,
    "the registry's certificate is signed in a way that counts no more: tell who runs it",
  ],
  [
    /x509: .*incompatible key usage/,
    "the registry's certificate is not one of a server (extendedKeyUsage): tell who runs it",
  ],
  [/x509:/, "the registry's certificate cannot be used: tell who runs it"],
  [
    /remote error: tls: .*certificate/,
    "the registry asks for a certificate of this machine: put client.cert and client.key into a " +
    "folder, and name that as certDir under registries or on the source, or put them into " +
    "/etc/containers/certs.d/<host:port>",
  ],
  [
    /tls: .*(?:protocol version|handshake failure|cipher suite)/,
    "the registry knows only versions or ciphers of TLS that count no more: tell who runs it",
  ],
];

/**
 * Says what to do about words of skopeo that name one cause.
 *
 * @param words The words.
 * @returns What to do next, where that is known.
 */
export function hintOf(words: string): string | undefined {
  return HINTS.find(([said]) => said.test(words))?.[1];
}
