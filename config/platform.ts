import { InvalidValueError } from "./invalid_value.ts";

/** What an image runs on, in the words of the OCI image index. */
export interface Platform {
  /** Operating system as Go names it, such as `linux`. */
  readonly os: string;
  /** Architecture as Go names it, such as `arm64`. */
  readonly architecture: string;
  /** Variant of the architecture, such as `v7`. */
  readonly variant?: string;
}

/** A platform as text: any that {@linkcode parsePlatform} reads; editors offer the usual ones. */
export type PlatformName =
  | "linux/amd64"
  | "linux/arm64"
  | "linux/arm/v7"
  | "linux/arm/v6"
  | "linux/386"
  | "linux/ppc64le"
  | "linux/riscv64"
  | "linux/s390x"
  | string & Record<never, never>;

/** Debian's names (and uname's) for what Go names otherwise. */
const ALIASES: Readonly<Record<string, string>> = {
  armhf: "linux/arm/v7",
  armel: "linux/arm/v6",
  i386: "linux/386",
  ppc64el: "linux/ppc64le",
  amd64: "linux/amd64",
  arm64: "linux/arm64",
  s390x: "linux/s390x",
  riscv64: "linux/riscv64",
  mips64el: "linux/mips64le",
  mipsel: "linux/mipsle",
  loong64: "linux/loong64",
  ppc64le: "linux/ppc64le",
  x86_64: "linux/amd64",
  aarch64: "linux/arm64",
};

const PART = /^[a-z0-9][a-z0-9_.-]*$/;
const EXPECTED = '"os/arch[/variant]" such as "linux/arm/v7", or a Debian name such as "armhf"';

/**
 * Reads a platform.
 *
 * @param text `os/arch[/variant]`, or one of Debian's architecture names (`armhf`, `ppc64el`, …).
 * @returns The platform; `linux/arm64/v8` is `linux/arm64`, and `linux/arm` is `linux/arm/v7`, as
 * containerd normalises them.
 * @throws {InvalidValueError} If the text is neither.
 *
 * @example Usage
 * ```ts
 * import { parsePlatform } from "@stowage/stowage";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parsePlatform("armel"), { os: "linux", architecture: "arm", variant: "v6" });
 * ```
 */
export function parsePlatform(text: string): Platform {
  const alias = lookUp(ALIASES, text);
  const parts = (alias ?? text).split("/");
  const [os, architecture, variant] = parts;
  if (!os || !architecture || parts.length > 3 || !parts.every((part) => PART.test(part))) {
    throw new InvalidValueError("platform", text, EXPECTED);
  }
  return normalizePlatform({ os, architecture, ...(variant && { variant }) });
}

/**
 * Tells whether a platform can be written and read again: images may have any words in theirs.
 *
 * @param platform A platform, normalised.
 * @returns Whether all of its parts are words.
 */
export function isPlatform({ os, architecture, variant }: Platform): boolean {
  return [os, architecture, ...(variant ? [variant] : [])].every((part) => PART.test(part));
}

/** Names of architectures that stand for others, with a variant where that says one. */
const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  "i386": ["386", ""],
  "x86_64": ["amd64"],
  "x86-64": ["amd64"],
  "aarch64": ["arm64"],
  "armhf": ["arm", "v7"],
  "armel": ["arm", "v6"],
};
/** Names of variants that stand for others; "" is the one that need not be said. */
const VARIANTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  amd64: { v1: "" },
  arm64: { "8": "", v8: "", "v8.0": "", "9": "v9", "9.0": "v9", "v9.0": "v9" },
  arm: { "": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8" },
};

/**
 * Names each platform in one way only.
 *
 * @param platform A platform, as a config or an image index has it.
 * @returns The same platform as containerd's `platforms.Normalize` names it.
 */
export function normalizePlatform({ os, architecture, variant = "" }: Platform): Platform {
  const written = architecture.toLowerCase();
  const [own, said = variant.toLowerCase()] = lookUp(ARCHITECTURES, written) ?? [written];
  const known = lookUp(lookUp(VARIANTS, own) ?? {}, said) ?? said;
  const system = os.toLowerCase() === "macos" ? "darwin" : os.toLowerCase();
  return { os: system, architecture: own, ...(known && { variant: known }) };
}

function lookUp<Value>(map: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** The variants of an architecture, each of which runs what is built for those before it. */
const ORDER: Readonly<Record<string, readonly string[]>> = {
  amd64: ["v1", "v2", "v3", "v4"],
  arm: ["v5", "v6", "v7", "v8"],
  arm64: ["v8", "v9"],
};

/**
 * Tells what runs on a platform.
 *
 * @param platform The platform.
 * @returns Platforms as {@linkcode formatPlatform} writes them, the best first: itself, then the
 * older variants of its architecture.
 */
export function runsOn(platform: Platform): readonly string[] {
  const variants = lookUp(ORDER, platform.architecture) ?? [];
  const own = variants.indexOf(platform.variant ?? "");
  const older = variants.slice(0, Math.max(own, 0)).reverse();
  return [platform, ...older.map((variant) => normalizePlatform({ ...platform, variant }))]
    .map(formatPlatform);
}

/**
 * Writes a platform.
 *
 * @param platform The platform.
 * @returns `os/arch[/variant]`.
 */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join("/");
}
