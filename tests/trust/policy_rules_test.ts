import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  insecureAcceptAnything,
  parseReference,
  reject,
  signedBy,
  sigstoreSigned,
} from "@stowage/stowage";
import { findRuling, formatPolicy, holdToName, readPolicy } from "../../src/trust/policy.ts";

const digest = `sha256:${"0".repeat(64)}`;

function subject(name: string, digest?: string) {
  return { transport: "docker", isNamed: true, reference: parseReference(name), digest };
}

describe("formatPolicy()", () => {
  it("writes what containers-policy.json(5) says, with absolute paths", () => {
    const policy = formatPolicy({
      default: reject(),
      docker: {
        "quay.io": signedBy("keys/acme.gpg"),
        "ghcr.io/acme": sigstoreSigned("/keys/cosign.pub", {
          signedIdentity: { type: "matchRepository" },
        }),
        "localhost:5000": insecureAcceptAnything(),
      },
    }, "/project");
    assertEquals(policy, {
      default: [{ type: "reject" }],
      transports: {
        docker: {
          "quay.io": [
            { type: "signedBy", keyType: "GPGKeys", keyPath: "/project/keys/acme.gpg" },
          ],
          "ghcr.io/acme": [
            {
              type: "sigstoreSigned",
              keyPath: "/keys/cosign.pub",
              signedIdentity: { type: "matchRepository" },
            },
          ],
          "localhost:5000": [{ type: "insecureAcceptAnything" }],
        },
      },
    });
    assertEquals(readPolicy(JSON.stringify(policy)), policy);
  });

  it("makes every path absolute, and leaves all else as it is", () => {
    const fulcio = { caPath: "ca.pem", oidcIssuer: "https://a.b", subjectEmail: "a@b.c" };
    const policy = formatPolicy({
      default: signedBy({ keyPaths: ["a.gpg", "/b.gpg"] }),
      docker: {
        "quay.io": sigstoreSigned({ fulcio }, { rekorPublicKeyPaths: ["r.pub"] }),
        "ghcr.io": sigstoreSigned({
          pki: { caRootsData: "QQ==", caIntermediatesPath: "i.pem", subjectHostname: "b.c" },
        }),
      },
    }, "/project");
    assertEquals(policy, {
      default: [{
        type: "signedBy",
        keyType: "GPGKeys",
        keyPaths: ["/project/a.gpg", "/b.gpg"],
      }],
      transports: {
        docker: {
          "quay.io": [{
            type: "sigstoreSigned",
            fulcio: { ...fulcio, caPath: "/project/ca.pem" },
            rekorPublicKeyPaths: ["/project/r.pub"],
          }],
          "ghcr.io": [{
            type: "sigstoreSigned",
            pki: {
              caRootsData: "QQ==",
              caIntermediatesPath: "/project/i.pem",
              subjectHostname: "b.c",
            },
          }],
        },
      },
    });
  });
});

describe("findRuling()", () => {
  const scopes = [
    ...[`quay.io/acme/app@${digest}`, "quay.io/acme/app:1", "quay.io/acme/app", "quay.io/acme"],
    ...["quay.io", "*.quay.io", "*.io", "docker.io/library/nginx"],
  ];
  const policy = {
    default: [{ type: "reject" }],
    transports: { docker: Object.fromEntries(scopes.map((scope) => [scope, [{ type: scope }]])) },
  };
  const cases: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ["quay.io/acme/app:1", digest, `quay.io/acme/app@${digest}`],
    ["quay.io/acme/app:1", undefined, "quay.io/acme/app:1"],
    ["quay.io/acme/app:2", undefined, "quay.io/acme/app"],
    ["quay.io/acme/other", undefined, "quay.io/acme"],
    ["quay.io/acme2/app", undefined, "quay.io"],
    ["quay.io:443/acme/app", undefined, "*.io"],
    ["eu.quay.io:443/acme/app", undefined, "*.quay.io"],
    ["ghcr.io/acme/app", undefined, "*.io"],
    ["nginx", undefined, "docker.io/library/nginx"],
    ["registry.example/app", undefined, undefined],
  ];

  it("takes the longest scope that fits, else the default", () => {
    for (const [name, digest, scope] of cases) {
      const { scope: found } = findRuling(policy, subject(name, digest));
      assertEquals(found, scope, name);
    }
  });

  it("takes the default for all that is no registry", () => {
    const reference = parseReference("quay.io/acme/app:1");
    for (const transport of ["containers-storage", "dir", "docker-archive"]) {
      assertEquals(findRuling(policy, { transport, reference }).scope, undefined);
    }
  });
});

describe("holdToName()", () => {
  const held = (name: string, digest?: string, signedIdentity?: { type: string }) => {
    const requirement = { type: "signedBy", ...(signedIdentity && { signedIdentity }) };
    return holdToName([requirement], subject(name, digest))[0]?.signedIdentity;
  };
  const app = "quay.io/acme/app";
  const exact = { type: "exactReference", dockerReference: `${app}:1` };
  const repository = { type: "exactRepository", dockerRepository: app };
  const moved = { type: "remapIdentity", prefix: "quay.io/acme", signedPrefix: "ghcr.io/up" };

  it("holds signatures to the tag, or to the repository if a digest pins it", () => {
    assertEquals(held(`${app}:1`), exact);
    assertEquals(held(`${app}:1`, digest), repository);
    assertEquals(held(`${app}@${digest}`, digest), repository);
    const locked = { ...subject(`${app}:1`, digest), digestIsLocked: true };
    assertEquals(holdToName([{ type: "signedBy" }], locked), [
      { type: "signedBy", signedIdentity: exact },
    ]);
  });

  it("does as the policy says, where it says so", () => {
    assertEquals(held(`${app}:1`, digest, { type: "matchExact" }), exact);
    assertEquals(held(`${app}:1`, undefined, { type: "matchRepository" }), repository);
    assertEquals(held(`${app}:1`, undefined, repository), repository);
    assertEquals(held(`${app}:1`, undefined, moved), {
      type: "exactReference",
      dockerReference: "ghcr.io/up/app:1",
    });
    assertEquals(held("quay.io/acme2/app:1", digest, moved), {
      type: "exactRepository",
      dockerRepository: "quay.io/acme2/app",
    });
  });

  it("leaves what is not about signatures as it is", () => {
    const requirements = [{ type: "insecureAcceptAnything" }, { type: "reject" }];
    assertEquals(holdToName(requirements, subject(`${app}:1`)), requirements);
  });
});
