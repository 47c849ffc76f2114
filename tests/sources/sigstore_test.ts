import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import {
  type Config,
  docker,
  images,
  insecureAcceptAnything,
  install,
  PolicyError,
  type Requirement,
  type SigstoreOptions,
  sigstoreSigned,
  StageError,
} from "@stowage/stowage";
import type { SkopeoVersion } from "../../src/tools/skopeo_version.ts";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  makeSigstoreAuthority,
  makeSigstoreKey,
  type PushedImage,
  pushImage,
  signSigstore,
  thisSkopeo,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, list } from "./fixture.ts";
import { configOf, fetchTrusted, http, mustRefuse, only } from "./trust_fixture.ts";

const { dir, store, registry } = await fixture({ registry: true });
const root = dir.join("project");
const options = { store, root };
const skopeo = await thisSkopeo();
/** Debian's 1.9 is built without sigstore. */
const CAN: SkopeoVersion = [1, 10];

const push = async (name: string) =>
  await pushImage(registry, name, { layers: [await fileLayer({ name })] });
const [signed, alien, certified, unsigned] = [
  ...[await push("team/signed:1"), await push("team/alien:1")],
  ...[await push("team/certified:1"), await push("team/unsigned:1")],
] as const;

let data: Record<"acme" | "other" | "roots", string>;

beforeEach(async () => {
  const keys = join(root, "keys");
  for (const folder of [keys, join(root, "registries.d")]) {
    await Deno.mkdir(folder, { recursive: true });
  }
  const attached = { docker: { [registry.host]: { "use-sigstore-attachments": true } } };
  await Deno.writeTextFile(join(root, "registries.d/acme.yaml"), JSON.stringify(attached));
  const [acme, other] = [
    await makeSigstoreKey(join(keys, "acme")),
    await makeSigstoreKey(join(keys, "other")),
  ];
  const authority = await makeSigstoreAuthority(keys);
  await signSigstore(registry, signed, [acme]);
  await signSigstore(registry, alien, [other]);
  await signSigstore(registry, certified, [await authority.certify("release@acme.example")]);
  const read = async (path: string) => btoa(await Deno.readTextFile(path));
  data = {
    acme: await read(acme.publicKey),
    other: await read(other.publicKey),
    roots: await read(authority.cert),
  };
});

describe("a policy of sigstore keys", () => {
  const config = (image: PushedImage, requirement: Requirement) =>
    configOf(image, only(registry.host, requirement));

  it("accepts what is signed, also offline and by its own signature, where skopeo can", async () => {
    const acme = config(signed, sigstoreSigned("keys/acme.pub"));
    if (!skopeo.isSince(CAN)) {
      const { error } = await mustRefuse(PolicyError, acme, options);
      assertStringIncludes(error.message, "sigstore disabled");
      assertStringIncludes(error.hint ?? "", "built without sigstore");
      return;
    }
    const { images: [image], failures } = await fetchTrusted(acme, options);
    assertEquals(failures, {});
    await assertStored(store, image!, signed);
    assert((await list(image!.path)).includes("signature-1"));
    const offline = { ...options, offline: true };
    assertEquals((await fetchTrusted(acme, offline)).images[0]?.status, "cached");
    await mustRefuse(PolicyError, config(signed, sigstoreSigned("keys/other.pub")), offline);
  });

  it("refuses another key, another name, and what is not signed", async () => {
    const cases: [PushedImage, SigstoreOptions][] = [
      [alien, {}],
      [unsigned, {}],
      [signed, {
        signedIdentity: { type: "exactReference", dockerReference: "registry.example/app:1" },
      }],
    ];
    for (const [image, identity] of cases) {
      const acme = config(image, sigstoreSigned("keys/acme.pub", identity));
      const { error } = await mustRefuse(PolicyError, acme, options);
      assertStringIncludes(error.message, "Source image rejected: ");
    }
    await assertNothingLeft(store, 0);
  });

  it("says where signatures are looked for where it finds none", async () => {
    const { error } = await mustRefuse(
      PolicyError,
      config(unsigned, sigstoreSigned("keys/acme.pub")),
      options,
    );
    assertStringIncludes(error.message, "no signature exists");
    assertStringIncludes(error.hint ?? "", `policy.docker["${registry.host}"] of the config`);
    assertStringIncludes(error.hint ?? "", "use-sigstore-attachments: true");
  });

  it("has all that containers-policy.json(5) has, as far as this skopeo knows it", async () => {
    const pki = { caRootsPath: "keys/signers.pem", subjectEmail: "release@acme.example" };
    const fulcio = { oidcIssuer: "https://issuer.example", subjectEmail: "release@acme.example" };
    const rekor = { rekorPublicKeyPath: "keys/other.pub" };
    /** What they accept, where that is not told: an entry of Rekor is in none of the signatures. */
    const cases: [Requirement, SkopeoVersion, PushedImage?][] = [
      [sigstoreSigned({ keyData: data.acme }), CAN, signed],
      [sigstoreSigned({ keyPaths: ["keys/other.pub", "keys/acme.pub"] }), [1, 17], signed],
      [sigstoreSigned({ keyDatas: [data.other, data.acme] }), [1, 17], signed],
      [sigstoreSigned({ pki }), [1, 19], certified],
      [
        sigstoreSigned({
          pki: { caRootsData: data.roots, subjectHostname: "release.example" },
        }),
        [1, 19],
      ],
      [sigstoreSigned("keys/acme.pub", rekor), [1, 11]],
      [sigstoreSigned("keys/acme.pub", { rekorPublicKeyData: data.other }), [1, 11]],
      [sigstoreSigned("keys/acme.pub", { rekorPublicKeyPaths: ["keys/other.pub"] }), [1, 17]],
      [sigstoreSigned("keys/acme.pub", { rekorPublicKeyDatas: [data.other] }), [1, 17]],
      [sigstoreSigned({ fulcio: { ...fulcio, caPath: "keys/signers.pem" } }, rekor), [1, 11]],
      [sigstoreSigned({ fulcio: { ...fulcio, caData: data.roots } }, rekor), [1, 11]],
    ];
    for (const [requirement, since, accepted] of cases) {
      const what = JSON.stringify(requirement);
      for (const image of [signed, certified]) {
        const { images, failures } = await fetchTrusted(config(image, requirement), {
          ...options,
          store: dir.join(`store-${crypto.randomUUID()}`),
        });
        assertEquals(images.length, skopeo.isSince(since) && image === accepted ? 1 : 0, what);
        if (images.length > 0) continue;
        const { "source/app": error } = failures;
        assert(error instanceof PolicyError, what);
        const words = skopeo.isSince(since) || since === CAN
          ? "Source image rejected: "
          : `takes skopeo ${since.join(".")} or newer, and this is ${skopeo.text}`;
        assertStringIncludes(error.message, words);
      }
    }
  });

  it("asks a skopeo only for what it knows, and leaves the rest of the policy out", async () => {
    const bin = dir.join("bin");
    await Deno.mkdir(bin);
    await Deno.writeTextFile(
      join(bin, "skopeo"),
      '#!/bin/sh\n[ "$1" = --version ] && echo skopeo version 1.10.1 && exit\n' +
        'PATH=${PATH#*:} exec skopeo "$@"\n',
      { mode: 0o755 },
    );
    const { PATH = "" } = Deno.env.toObject();
    Deno.env.set("PATH", `${bin}:${PATH}`);
    try {
      const pki = { caRootsPath: "keys/signers.pem", subjectEmail: "release@acme.example" };
      const policy = only(registry.host, sigstoreSigned({ pki }));
      const { error } = await mustRefuse(PolicyError, configOf(signed, policy), options);
      assertStringIncludes(error.message, "its pki takes skopeo 1.19 or newer, and this is 1.10.1");
      assertEquals(error.hint, "install skopeo 1.19 or newer");
      const scopes = {
        ...policy.docker,
        [`${registry.host}/team`]: sigstoreSigned("keys/acme.pub"),
      };
      const { error: other } = await mustRefuse(
        PolicyError,
        configOf(unsigned, { ...policy, docker: scopes }),
        options,
      );
      assertStringIncludes(other.message, "no signature exists");
    } finally {
      Deno.env.set("PATH", PATH);
    }
  });
});

describe("an install into a registry", () => {
  const installed = (image: PushedImage, name: string, requirement: Requirement): Config => ({
    ...configOf(image, only(registry.host, requirement)),
    inputs: { apps: images({ app: name }) },
    stages: { os: install({ inputs: ["apps"], destination: { type: "docker", ...http } }) },
  });
  /** That of the attachment, whose tag is the digest. */
  const statusOf = async (path: string, { digest }: PushedImage) => {
    const url = `/v2/${path}/manifests/${digest.replace(":", "-")}.sig`;
    const answer = await registry.fetch(url, {
      headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
    });
    await answer.body?.cancel();
    return answer.status;
  };

  it("attaches the signatures of sigstore where registriesD says so", async () => {
    const config = installed(signed, `${registry.host}/copied/app:1`, insecureAcceptAnything());
    const { failures } = await fetchTrusted(config, options);
    assertEquals(failures, {});
    assertEquals(await statusOf("copied/app", signed), 200);
    if (!skopeo.isSince(CAN)) return;
    const identity = { type: "exactReference", dockerReference: signed.reference } as const;
    const acme = sigstoreSigned("keys/acme.pub", { signedIdentity: identity });
    const copy = docker(`${registry.host}/copied/app:1`, http);
    const again = configOf(copy, only(registry.host, acme));
    const { images: [image] } = await fetchTrusted(again, { ...options, store: dir.join("again") });
    await assertStored(dir.join("again"), image!, signed);
    const other = sigstoreSigned("keys/other.pub", { signedIdentity: identity });
    await mustRefuse(PolicyError, configOf(copy, only(registry.host, other)), options);
  });

  it("fails where no file says so, and says what to do", async () => {
    const { host } = registry;
    const attached = {
      [`${host}/team`]: { "use-sigstore-attachments": true },
      [host]: { "use-sigstore-attachments": false },
    };
    const text = JSON.stringify({ docker: attached });
    await Deno.writeTextFile(join(root, "registries.d/acme.yaml"), text);
    const config = installed(signed, `${host}/elsewhere/app:1`, insecureAcceptAnything());
    const { failures: { "stage/os": error } } = await fetchTrusted(config, options);
    assert(error instanceof StageError, `${error}`);
    assertStringIncludes(error.hint ?? "", "use-sigstore-attachments: true for this registry");
    assertEquals(await statusOf("elsewhere/app", signed), 404);
  });
});
