import { run } from "./run.ts";
import { tempDir } from "./temp_dir.ts";

/** A key that signs images, and the rules under which skopeo believes it. */
export interface Signer extends AsyncDisposable {
  /** For `skopeo copy --sign-by`. */
  readonly fingerprint: string;
  /** The exported key, for a policy. */
  readonly publicKey: string;
  /** Where the key lives: run skopeo with it. */
  readonly env: { readonly GNUPGHOME: string };
  /** Where signatures of registries' images are written and read. */
  readonly lookaside: string;
  /**
   * Flags that go before skopeo's command: keep signatures of this registry in `lookaside`, and
   * accept from it only images that are signed by this key.
   */
  flags(registry: { readonly host: string }): Promise<string[]>;
}

/**
 * Makes a key without a passphrase.
 *
 * @returns The key; `await using` ends its agent and removes it.
 *
 * @example Usage
 * ```ts ignore
 * await using signer = await makeSigner();
 * const flags = await signer.flags(registry);
 * const copy = ["copy", `--sign-by=${signer.fingerprint}`, source, destination];
 * await run("skopeo", [...flags, ...copy], { env: signer.env });
 * ```
 */
export async function makeSigner(): Promise<Signer> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const home = dir.join("gnupg");
  const publicKey = dir.join("key.gpg");
  await Deno.mkdir(home, { mode: 0o700 });
  resources.defer(async () => {
    await run("gpgconf", ["--homedir", home, "--kill", "all"]);
  });
  const gpg = (...args: string[]) => run("gpg", ["--homedir", home, "--batch", ...args]);
  const user = "Stowage Test <test@stowage.example>";
  await gpg("--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never");
  await gpg("--output", publicKey, "--export", user);
  const keys = await gpg("--with-colons", "--list-keys");
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(keys)?.[1] ?? "";
  const lookaside = dir.join("lookaside");
  await Deno.mkdir(lookaside);
  const owned = resources.move();
  return {
    fingerprint,
    publicKey,
    env: { GNUPGHOME: home },
    lookaside,
    async flags({ host }) {
      const registries = dir.join("registries.d");
      await Deno.mkdir(registries, { recursive: true });
      const url = `file://${lookaside}`;
      await Deno.writeTextFile(
        dir.join("registries.d", `${host}.yaml`),
        JSON.stringify({ docker: { [host]: { lookaside: url, "lookaside-staging": url } } }),
      );
      const policy = dir.join(`policy-${host}.json`);
      const signed = [{ type: "signedBy", keyType: "GPGKeys", keyPath: publicKey }];
      await Deno.writeTextFile(
        policy,
        JSON.stringify({
          default: [{ type: "insecureAcceptAnything" }],
          transports: { docker: { [host]: signed } },
        }),
      );
      return ["--policy", policy, "--registries.d", registries];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
