import type { Platform } from "../../config/mod.ts";
import type { ProcessOptions, ProcessResult } from "./process.ts";
import { runProcess } from "./process.ts";

/** How skopeo reaches an image, beside its name. */
export interface SkopeoImageOptions {
  /** Whether TLS is required and its certificates checked. */
  readonly tlsVerify?: boolean;
  /** File with credentials. */
  readonly authFile?: string;
}

/** What every run of skopeo takes. */
export interface SkopeoOptions extends ProcessOptions {
  /** Folder for its temporary files, instead of `/var/tmp`. */
  readonly tmpDir: string;
  /** Signature policy, instead of the machine's own. */
  readonly policy?: string | undefined;
  /** The platform to choose where an image has several. */
  readonly platform?: Platform | undefined;
}

const MAX_MANIFEST = 4 * 2 ** 20;

/**
 * Reads the manifest of an image, or the index that its name stands for, as it is served.
 *
 * @param image The image as `transport:details`.
 * @param how How it is reached.
 * @param options What every run of skopeo takes.
 * @returns What skopeo said; its standard output are the bytes, at most 4 MiB.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export function inspectRaw(
  image: string,
  how: SkopeoImageOptions,
  options: SkopeoOptions,
): Promise<ProcessResult> {
  const flags = [
    ...(how.tlsVerify === false ? ["--tls-verify=false"] : []),
    ...(how.authFile ? ["--authfile", how.authFile] : []),
  ];
  return runProcess(
    "skopeo",
    [...globalFlags(options), "inspect", "--raw", ...flags, "--", image],
    { maxOutput: MAX_MANIFEST, ...options },
  );
}

/**
 * Copies an image into a folder of the `dir` transport, with its signatures, its manifest as served
 * wherever the source keeps that.
 *
 * @param image The image as `transport:details`.
 * @param folder The folder; skopeo makes it.
 * @param how How the image is reached.
 * @param options What every run of skopeo takes.
 * @returns What skopeo said.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export function copyToDir(
  image: string,
  folder: string,
  how: SkopeoImageOptions,
  options: SkopeoOptions,
): Promise<ProcessResult> {
  const flags = [
    ...(how.tlsVerify === false ? ["--src-tls-verify=false"] : []),
    ...(how.authFile ? ["--src-authfile", how.authFile] : []),
  ];
  return runProcess(
    "skopeo",
    [...globalFlags(options), "copy", "--quiet", ...flags, "--", image, `dir:${folder}`],
    options,
  );
}

function globalFlags({ tmpDir, policy, platform }: SkopeoOptions): string[] {
  return [
    ...["--tmpdir", tmpDir],
    ...(policy ? ["--policy", policy] : []),
    ...(platform ? ["--override-os", platform.os, "--override-arch", platform.architecture] : []),
    ...(platform?.variant ? ["--override-variant", platform.variant] : []),
  ];
}
