import { assert } from "@std/assert";
import { copy } from "@std/fs/copy";
import { join } from "@std/path";
import { beforeEach } from "@std/testing/bdd";
import {
  type Config,
  docker,
  insecureAcceptAnything,
  type Policy,
  reject,
  type Requirement,
  signedBy,
  type Source,
  type StowageError,
} from "@stowage/stowage";
import { type Build, buildAll, type FixtureOptions } from "../build/fixture.ts";
import { fixture, forThisFile, type RegistryFixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  fileLayer,
  type Layer,
  makeSigner,
  nginxLikeLayer,
  type PushedImage,
  type PushedIndex,
  pushImage,
  type Registry,
  run,
  type Signer,
} from "../support/mod.ts";

export const http = { tlsVerify: false };
export const anything = insecureAcceptAnything();
/** Signed by the lab's signer. */
export const acme = signedBy("keys/acme.gpg");

/** A registry with images that are signed, and ones that are not. */
export interface TrustFixture extends RegistryFixture {
  readonly signer: Signer;
  readonly stranger: Signer;
  readonly signed: PushedImage;
  readonly unsigned: PushedImage;
  /** Signed by the stranger, with the signature where the signer's would be. */
  readonly alien: PushedImage;
  /** A folder of a config, with the signer's key and where its signatures are. */
  readonly root: string;
}

/** Sets it up. */
export async function trustFixture(): Promise<TrustFixture> {
  const parts = await fixture({ registry: true });
  const { registry, dir } = parts;
  const signer = await forThisFile(makeSigner());
  const stranger = await forThisFile(makeSigner());
  const push = async (name: string, layer: Promise<Layer>) =>
    await pushImage(registry, name, { layers: [await layer] });
  const signed = await push("team/signed:1", nginxLikeLayer());
  const unsigned = await push("team/unsigned:1", busyboxLayer());
  const alien = await push("alien:1", fileLayer({ a: "b" }));
  await sign(signer, registry, signed);
  await sign(stranger, registry, alien);
  await copy(stranger.lookaside, signer.lookaside, { overwrite: true });
  const root = dir.join("project");
  beforeEach(async () => {
    await Deno.mkdir(join(root, "keys"), { recursive: true });
    await Deno.copyFile(signer.publicKey, join(root, "keys/acme.gpg"));
    await copy(await registriesOf(signer, registry), join(root, "registries.d"));
  });
  return { ...parts, signer, stranger, signed, unsigned, alien, root };
}

/** A config of that folder. */
export function configOf(source: Source | PushedImage, policy: Policy): Config {
  const app = "manifest" in source ? docker(source.reference, http) : source;
  return { policy, registriesD: "registries.d", sources: { app } };
}

/** Asks one scope, and refuses the rest. */
export function only(scope: string, requirement: Requirement): Policy {
  return { default: reject(), docker: { [scope]: requirement } };
}

/** Fetches a config of one source, called `app`, which nothing has to pin. */
export async function fetchTrusted(config: Config, options: FixtureOptions): Promise<Build> {
  return await buildAll({ digests: "ignore", ...config }, options);
}

/** Fetches what must not be had, of a kind of error. */
export async function mustRefuse<Kind extends StowageError>(
  kind: abstract new (...args: never[]) => Kind,
  config: Config,
  options: FixtureOptions,
): Promise<{ error: Kind; build: Build }> {
  const build = await fetchTrusted(config, options);
  const { "source/app": error } = build.failures;
  assert(error instanceof kind, `${error ?? `it fetched ${build.images[0]?.id}`}`);
  return { error, build };
}

/** Where the signatures of a registry's images are, by a folder for `registriesD`. */
export async function registriesOf(signer: Signer, registry: { readonly host: string }) {
  const [, , , folder = ""] = await signer.flags(registry);
  return folder;
}

/** Signs an image of a registry, where it is; `--all` of an index. */
export async function sign(
  signer: Signer,
  registry: Registry,
  image: Pick<PushedIndex, "reference">,
  identity = image.reference,
): Promise<void> {
  const name = `docker://${image.reference}`;
  await run("skopeo", [
    ...["--insecure-policy", "--registries.d", await registriesOf(signer, registry)],
    ...["copy", "--quiet", "--all", ...registry.flags("src"), ...registry.flags("dest")],
    ...[`--sign-by=${signer.fingerprint}`, `--sign-identity=${identity}`, name, name],
  ], { env: signer.env });
}
