import { join } from "@std/path";
import { ToolError, UsageError } from "../errors/mod.ts";
import { OddFile, readOutside } from "../lib/fs/outside_file.ts";
import { codeOf } from "../lib/fs/files.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";
import { mustRun, type ProcessOptions, type ProcessResult, runProcess } from "./process.ts";

/** Who has signed something, as the program says that has checked it. */
export interface SignedBy {
  /** Whose format the signature has: `ssh-keygen`'s or `gpg`'s. */
  readonly format: "openssh" | "openpgp";
  /** The key: `SHA256:…` as `ssh-keygen -l` shows it, or the fingerprint as `gpg` does. */
  readonly fingerprint: string;
}

/** What a signature says, or why it says nothing. */
export type Verdict = { readonly signedBy: SignedBy } | { readonly reason: string };

/** What is signed is signed for this purpose only, as PROTOCOL.sshsig of OpenSSH has it. */
const NAMESPACE = "stowage-bundle";
/** Whom the program takes the key for; there is only one. */
const SIGNER = "signer";
const SSH_KEY = /^(?:ssh-|ecdsa-|sk-ssh-|sk-ecdsa-)[\w@.-]+ [A-Za-z0-9+/=]+/;
const SSH_SIGNATURE = "-----BEGIN SSH SIGNATURE-----";
const PGP_SIGNATURE = "-----BEGIN PGP SIGNATURE-----";
const PGP_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const PGP_SECRET = "-----BEGIN PGP PRIVATE KEY BLOCK-----";
/** What gpg says of a signature that must not count, whatever its exit code is. */
const REFUSED = /^\[GNUPG:\] (?:BADSIG|ERRSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|NODATA|FAILURE)\b/m;

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const streamOf = (bytes: Uint8Array) => ReadableStream.from([bytes]);

/**
 * Signs bytes, with `ssh-keygen -Y sign` where the key is a file, else with `gpg`.
 *
 * @param bytes The bytes.
 * @param key The file of an OpenSSH key (or of its public part, where ssh-agent has the rest), or
 * what gpg finds a key by.
 * @param signal Ends it.
 * @returns The signature, in ASCII.
 * @throws {UsageError} If the key is none.
 * @throws {ToolError} If it cannot be used, such as without its passphrase.
 * @throws {ToolMissingError} If the program is not there.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function sign(
  bytes: Uint8Array,
  key: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const isFile = await Deno.stat(key).then((info) => info.isFile, () => false);
  if (!isFile && (key.includes("/") || key.endsWith(".pub"))) {
    throw new UsageError(`Cannot sign with "${key}": there is no such file`, {
      hint: "name the file of an OpenSSH key, or the fingerprint of a key of gpg",
    });
  }
  const [program, args, start] = isFile
    ? ["ssh-keygen", ["-Y", "sign", "-q", "-f", key, "-n", NAMESPACE], SSH_SIGNATURE] as const
    : ["gpg", [
      ...["--batch", "--quiet", "--armor", "--detach-sign"],
      ...[`--local-user=${key}`, "--output=-", "-"],
    ], PGP_SIGNATURE] as const;
  const { code, stdout, stderr } = await run(program, args, { signal, stdin: streamOf(bytes) });
  if (code === 0 && textOf(stdout).startsWith(start)) return stdout;
  const hint = isFile
    ? "is its passphrase asked for? Add it with ssh-add, and name its .pub"
    : "see `gpg --list-secret-keys`; a passphrase is asked for by gpg-agent only";
  throw new ToolError(program, {
    exitCode: code,
    stderr,
    doing: `sign with "${key}"`,
    hint,
  });
}

/**
 * Checks a signature, with `ssh-keygen -Y verify` or with `gpg`, by one key and nothing else that
 * this machine may trust.
 *
 * @param bytes What is signed.
 * @param signature The signature.
 * @param key The file of the public key: a line as in `id_ed25519.pub`, or what `gpg --export`
 * makes.
 * @param signal Ends it.
 * @returns Who has signed it, or why that is not so.
 * @throws {UsageError} If the key cannot be read, or is none.
 * @throws {ToolMissingError} If the program is not there.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function checkSignature(
  bytes: Uint8Array,
  signature: Uint8Array,
  key: string,
  signal: AbortSignal,
): Promise<Verdict> {
  const read = await readKey(key);
  const text = textOf(signature);
  const isSsh = text.startsWith(SSH_SIGNATURE);
  if (!isSsh && !text.startsWith(PGP_SIGNATURE)) {
    return { reason: "its signature is none of OpenSSH, and none of GPG" };
  }
  if (isSsh !== (read.format === "openssh")) {
    const [has, is] = isSsh ? ["OpenSSH", "GPG"] : ["GPG", "OpenSSH"];
    return { reason: `its signature is one of ${has}, and the key is one of ${is}` };
  }
  const folder = await Deno.makeTempDir({ prefix: "stowage-" });
  try {
    const path = join(folder, "signature");
    await Deno.writeFile(path, signature);
    const options = { signal, stdin: streamOf(bytes) };
    return isSsh
      ? await checkSsh(path, read.text, folder, options)
      : await checkGpg(path, key, folder, options);
  } finally {
    await removeTree(folder).catch(() => {});
  }
}

async function readKey(
  path: string,
): Promise<{ readonly format: SignedBy["format"]; readonly text: string }> {
  const refuse = (why: string, cause?: unknown) =>
    new UsageError(`Cannot verify with "${path}": ${why}`, {
      hint: "name a public key: a file such as id_ed25519.pub, or what `gpg --export` makes",
      cause,
    });
  const bytes = await readOutside(path).catch((error) => {
    if (error instanceof OddFile) throw refuse(error.message, error);
    if (codeOf(error) === "ENOENT") throw refuse("there is no such file", error);
    if (codeOf(error) === undefined) throw error;
    throw refuse("it cannot be read", error);
  });
  const text = textOf(bytes);
  if (/PRIVATE KEY-----/.test(text) && !text.includes(PGP_SECRET)) {
    throw refuse("it is a private key, which is to stay where it is");
  }
  if (text.includes(PGP_SECRET)) throw refuse("it is a secret key, which is to stay where it is");
  // Packets of OpenPGP begin with a byte of which the first bit is set, RFC 4880.
  if (text.includes(PGP_KEY) || (bytes[0] ?? 0) >= 0x80) return { format: "openpgp", text };
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => SSH_KEY.test(line));
  if (lines.length === 0) throw refuse("it has no public key");
  return { format: "openssh", text: lines.join("\n") };
}

async function checkSsh(
  signature: string,
  keys: string,
  folder: string,
  options: ProcessOptions,
): Promise<Verdict> {
  const allowed = join(folder, "allowed_signers");
  const lines = keys.split("\n").map((key) => `${SIGNER} namespaces="${NAMESPACE}" ${key}\n`);
  await Deno.writeTextFile(allowed, lines.join(""));
  const { code, stdout, stderr } = await run("ssh-keygen", [
    ...["-Y", "verify", "-f", allowed, "-I", SIGNER, "-n", NAMESPACE, "-s", signature],
  ], options);
  const fingerprint = / key (SHA256:[A-Za-z0-9+/]+)$/m.exec(textOf(stdout))?.[1];
  if (code === 0 && fingerprint !== undefined) {
    return { signedBy: { format: "openssh", fingerprint } };
  }
  const said = `${textOf(stdout)}\n${stderr}`.trim().split("\n")[0] ?? "";
  return { reason: `its signature is not by the key: ${said}` };
}

/** In a home of its own, so that it knows this one key and no settings. */
async function checkGpg(
  signature: string,
  key: string,
  folder: string,
  options: ProcessOptions,
): Promise<Verdict> {
  const home = join(folder, "home");
  await Deno.mkdir(home, { mode: 0o700 });
  const base = [`--homedir=${home}`, "--no-options", "--batch", "--quiet", "--no-autostart"];
  const { signal } = options;
  await mustRun("gpg", [...base, "--import", "--", key], { signal, env: { LC_ALL: "C" } });
  const { code, stdout, stderr } = await run("gpg", [
    ...base,
    ...["--no-auto-key-retrieve", "--trust-model=always", "--status-fd=1"],
    ...["--verify", "--", signature, "-"],
  ], options);
  const status = textOf(stdout);
  // Its last field is the primary key, where a subkey has signed.
  const valid = /^\[GNUPG:\] VALIDSIG (.*)$/m.exec(status)?.[1]?.trim().split(" ").at(-1);
  const isGood = /^\[GNUPG:\] GOODSIG /m.test(status) && !REFUSED.test(status);
  if (code === 0 && isGood && valid !== undefined) {
    return { signedBy: { format: "openpgp", fingerprint: valid } };
  }
  const said = stderr.split("\n").find((line) => /signature|key/i.test(line)) ?? stderr;
  return { reason: `its signature is not by the key: ${said.trim()}` };
}

function run(
  program: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<ProcessResult> {
  return runProcess(program, args, { ...options, env: { LC_ALL: "C" } });
}
