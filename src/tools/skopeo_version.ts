import { runProcess } from "./process.ts";

/** Major and minor version. */
export type SkopeoVersion = readonly [major: number, minor: number];

/**
 * Asks skopeo for its version.
 *
 * @returns The version; `undefined` if it does not tell.
 * @throws {ToolMissingError} If there is no skopeo.
 */
export async function readSkopeoVersion(): Promise<
  { readonly text: string; readonly version: SkopeoVersion } | undefined
> {
  const { stdout } = await runProcess("skopeo", ["--version"]);
  const [, text, major, minor] =
    /version ((\d+)\.(\d+)\S*)/.exec(new TextDecoder().decode(stdout)) ??
      [];
  return text === undefined ? undefined : { text, version: [Number(major), Number(minor)] };
}

/**
 * Tells whether one version is older than another.
 *
 * @param one The one.
 * @param other The other.
 * @returns Whether it is.
 */
export function isOlder([major, minor]: SkopeoVersion, other: SkopeoVersion): boolean {
  return major < other[0] || (major === other[0] && minor < other[1]);
}
