import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  type Requirement,
  signedBy,
  sigstoreSigned,
} from "@stowage/stowage";

const KEY = btoa("key");
const rekor = { rekorPublicKeyPath: "rekor.pub" };
const fulcio = { caPath: "ca.pem", oidcIssuer: "https://issuer.example", subjectEmail: "a@b.c" };
const pki = { caRootsPath: "roots.pem", subjectHostname: "build.example" };

/** What is wrong with a requirement, by its path below it. */
function mistakesOf(requirement: unknown): Record<string, string> {
  const config = { policy: { default: requirement } } as Config;
  const { issues } = assertThrows(() => compile(config), ConfigError);
  return Object.fromEntries(issues.map(({ path, expected }) => [path.slice(15), expected]));
}

describe("requirements of signatures", () => {
  it("name keys in each way that containers-policy.json(5) has", () => {
    const right: Requirement[] = [
      signedBy("a.gpg", { signedIdentity: { type: "matchExact" } }),
      signedBy({ keyPaths: ["a.gpg", "b.gpg"] }),
      signedBy({ keyData: KEY }),
      sigstoreSigned("a.pub", { rekorPublicKeyData: KEY }),
      sigstoreSigned({ keyPaths: ["a.pub"] }, { rekorPublicKeyPaths: ["r.pub", "s.pub"] }),
      sigstoreSigned({ keyData: KEY }, { rekorPublicKeyDatas: [KEY] }),
      sigstoreSigned({ keyDatas: [KEY, KEY] }),
      sigstoreSigned({ fulcio }, rekor),
      sigstoreSigned({ pki: { ...pki, caIntermediatesData: KEY, subjectEmail: "a@b.c" } }),
    ];
    for (const requirement of right) compile({ policy: { default: requirement } });
    assertEquals(right[1], { type: "signedBy", keyPaths: ["a.gpg", "b.gpg"] });
    assertEquals(right[7], { type: "sigstoreSigned", fulcio, ...rekor });
  });

  const closed = (...keys: string[]) =>
    `one of ${keys.map((key) => `"${key}"`).join(", ")} in place of this key`;
  const REKOR = ["Path", "Paths", "Data", "Datas"].map((end) => `rekorPublicKey${end}`);
  const wrong: readonly [what: string, requirement: unknown, mistakes: Record<string, string>][] = [
    ["no type", {}, {
      type: '"reject" or "insecureAcceptAnything" or "signedBy" or "sigstoreSigned"',
    }],
    ["no key", { type: "signedBy" }, { keyPath: "a value" }],
    ["no key at all", { type: "sigstoreSigned", keyPaths: [] }, { keyPaths: "at least one path" }],
    ["two kinds of keys", { type: "signedBy", keyPath: "a", keyData: KEY }, {
      keyData: closed("type", "signedIdentity", "keyPath"),
    }],
    ["a key that is no base64", { type: "signedBy", keyData: "a key" }, { keyData: "base64" }],
    ["several keys of GPG in base64", { type: "signedBy", keyDatas: [KEY] }, {
      keyPath: "a value",
      keyDatas: closed("type", "signedIdentity", "keyPath"),
    }],
    ["Rekor for GPG", { type: "signedBy", keyPath: "a", ...rekor }, {
      rekorPublicKeyPath: closed("type", "signedIdentity", "keyPath"),
    }],
    ["two kinds of keys of Rekor", sigstoreSigned("a", { ...rekor, rekorPublicKeyData: KEY }), {
      "": `at most one of ${REKOR.join(", ")}`,
    }],
    ["Fulcio without Rekor", sigstoreSigned({ fulcio }), {
      "": `one of ${REKOR.join(", ")} beside fulcio`,
    }],
    ["Fulcio without its CA", sigstoreSigned({ fulcio: { ...fulcio, caData: KEY } }, rekor), {
      fulcio: 'either "caPath" or "caData"',
    }],
    ["PKI with Rekor", sigstoreSigned({ pki }, rekor), {
      "": "no public key of Rekor beside pki",
    }],
    ["PKI for nobody", sigstoreSigned({ pki: { caRootsPath: "a" } }), {
      pki: '"subjectEmail" or "subjectHostname"',
    }],
    ["a name without a tag", {
      ...signedBy("a"),
      signedIdentity: { type: "exactReference", dockerReference: "quay.io/acme/app" },
    }, { "signedIdentity.dockerReference": "a name with its tag or digest" }],
    ["a prefix that is none", {
      ...signedBy("a"),
      signedIdentity: { type: "remapIdentity", prefix: "quay.io/", signedPrefix: "ghcr.io" },
    }, { "signedIdentity.prefix": '"host[:port][/path]"' }],
  ];
  for (const [what, requirement, mistakes] of wrong) {
    it(`are wrong with ${what}`, () => assertEquals(mistakesOf(requirement), mistakes));
  }
});
