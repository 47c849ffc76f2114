import * as v from "valibot";
import {
  formatReference,
  type Policy,
  type Reference,
  type Requirement,
} from "../../config/mod.ts";
import { resolve } from "@std/path";

const RequirementFile = v.looseObject({
  type: v.string(),
  fulcio: v.optional(v.looseObject({})),
  pki: v.optional(v.looseObject({})),
  signedIdentity: v.optional(v.looseObject({ type: v.string() })),
});
/** None at all is no policy, as skopeo has it. */
const RequirementsFile = v.pipe(v.array(RequirementFile), v.minLength(1));

const PolicyFile = v.object({
  default: RequirementsFile,
  transports: v.optional(v.record(v.string(), v.record(v.string(), RequirementsFile))),
});

/** What an image has to meet, as policy.json has it: all of them. */
export type Requirements = readonly v.InferOutput<typeof RequirementFile>[];
/** A policy.json. */
export type PolicyJson = v.InferOutput<typeof PolicyFile>;

/** An image that a policy is asked about. */
export interface Subject {
  /** The transport that it comes by. */
  readonly transport: string;
  /** Whether scopes of that transport are names of images, as those of registries are. */
  readonly isNamed?: boolean;
  /** Its name, where the transport has names. */
  readonly reference?: Reference | undefined;
  /** Digest that it is asked for by. */
  readonly digest?: string | undefined;
  /** Whether the lock says the digest: a machine has written down what the tag was. */
  readonly digestIsLocked?: boolean | undefined;
}

/**
 * Writes a config's policy as policy.json has it.
 *
 * @param policy The policy.
 * @param root Folder that relative paths start from.
 * @returns The policy.
 */
export function formatPolicy({ default: other, docker = {} }: Policy, root: string): PolicyJson {
  const format = ({ type, ...rest }: Requirement) => {
    const keyType = type === "signedBy" && { keyType: "GPGKeys" };
    return [{ type, ...keyType, ...withPaths(rest, (path) => resolve(root, path)) }];
  };
  const scopes = Object.entries(docker).map(([scope, each]) => [scope, format(each)] as const);
  return { default: format(other), transports: { docker: Object.fromEntries(scopes) } };
}

/** In policy.json what is a path is called one, and so is what is a list of them. */
function withPaths(of: object, change: (path: string) => string): Record<string, unknown> {
  const entries = Object.entries(of).map(([key, value]): [string, unknown] => {
    if (/Paths?$/.test(key)) return [key, Array.isArray(value) ? value.map(change) : change(value)];
    const isPlain = typeof value !== "object" || value === null || Array.isArray(value);
    return [key, isPlain ? value : withPaths(value, change)];
  });
  return Object.fromEntries(entries);
}

/**
 * Reads a policy.json.
 *
 * @param text The file.
 * @returns The policy; `undefined` if it is none, which is for skopeo to explain.
 */
export function readPolicy(text: string): PolicyJson | undefined {
  const { success, output } = v.safeParse(v.pipe(v.string(), v.parseJson(), PolicyFile), text);
  return success ? output : undefined;
}

/** What a policy asks, and where in it that stands. */
export interface Ruling {
  /** What is asked. */
  readonly requirements: Requirements;
  /** The scope of the registry that fits; `undefined` where the default does. */
  readonly scope: string | undefined;
}

/**
 * Finds what a policy asks of an image. A tag counts although skopeo is told a digest.
 *
 * @param policy The policy.
 * @param subject The image.
 * @returns What is asked.
 */
export function findRuling(policy: PolicyJson, subject: Subject): Ruling {
  const { transport, isNamed, reference } = subject;
  const scopes = policy.transports?.[transport] ?? {};
  const names = isNamed && reference ? scopesOf(reference, subject.digest) : [];
  for (const scope of [...names, ""]) {
    const requirements = Object.hasOwn(scopes, scope) ? scopes[scope] : undefined;
    if (requirements) return { requirements, scope };
  }
  return { requirements: policy.default, scope: undefined };
}

/** The scopes that an image is in, the longest first. */
function scopesOf({ domain, path, tag }: Reference, digest: string | undefined): string[] {
  const name = formatReference({ domain, path });
  const parts = name.split("/");
  const parents = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  const labels = domain.replace(/:\d+$/, "").split(".").slice(1);
  const wild = labels.map((_, index) => `*.${labels.slice(index).join(".")}`);
  return [
    ...(digest ? [`${name}@${digest}`] : []),
    ...(tag ? [`${name}:${tag}`] : []),
    ...parents,
    ...wild,
  ];
}

/**
 * Holds signatures to the name of an image. skopeo is told digests, which would do with a signature
 * for any tag of the repository; and what the store has, has no name.
 *
 * @param requirements What is asked.
 * @param subject The image.
 * @returns What is asked of an image by this name.
 */
export function holdToName(requirements: Requirements, subject: Subject): Requirements {
  const { reference, digest, digestIsLocked } = subject;
  if (!reference) return requirements;
  const isPinned = digest !== undefined && !digestIsLocked;
  return requirements.map((requirement) => {
    if (!isSigned(requirement)) return requirement;
    const { signedIdentity: identity = { type: "matchRepoDigestOrExact" } } = requirement;
    const held = holdIdentity(identity, reference, isPinned);
    return held ? { ...requirement, signedIdentity: held } : requirement;
  });
}

type Identity = NonNullable<Requirements[number]["signedIdentity"]>;

function holdIdentity(
  identity: Identity,
  { domain, path, tag }: Reference,
  isPinned: boolean,
): Identity | undefined {
  const name = formatReference({ domain, path });
  const repository = (name: string) => ({ type: "exactRepository", dockerRepository: name });
  const exact = (name: string) => ({ type: "exactReference", dockerReference: `${name}:${tag}` });
  const usual = isPinned || !tag ? repository : exact;
  switch (identity.type) {
    case "matchRepoDigestOrExact":
      return usual(name);
    case "matchRepository":
      return repository(name);
    case "matchExact":
      return tag ? exact(name) : undefined;
    case "remapIdentity": {
      const { prefix, signedPrefix } = identity;
      if (typeof prefix !== "string" || typeof signedPrefix !== "string") return undefined;
      const fits = name === prefix || name.startsWith(`${prefix}/`);
      return usual(fits ? signedPrefix + name.slice(prefix.length) : name);
    }
    default:
      return undefined;
  }
}

/** Whether a requirement is one of signatures. */
export function isSigned({ type }: Requirements[number]): boolean {
  return type === "signedBy" || type === "sigstoreSigned";
}

/** Whether any image meets requirements. */
export function isOpen(requirements: Requirements): boolean {
  return requirements.every(({ type }) => type === "insecureAcceptAnything");
}
