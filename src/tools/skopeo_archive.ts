import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { Platform } from "../../config/mod.ts";
import { mustRun } from "./process.ts";
import { formatImage, platformFlags } from "./skopeo_args.ts";

/**
 * Reads which image an OCI archive has.
 *
 * @param path The archive.
 * @param options The platform to choose, a folder for temporary files, cancellation.
 * @returns Image id and digest of the manifest (or of the index, where it has several images).
 * @throws {ToolError} If it is no OCI archive.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function readArchive(
  path: string,
  { platform, scratch, signal }: {
    readonly platform: Platform;
    readonly scratch: string;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly id: string; readonly digest: string }> {
  const link = join(scratch, crypto.randomUUID());
  await Deno.symlink(path, link);
  const image = formatImage({ transport: "oci-archive", path: link });
  const flags = ["--tmpdir", scratch, ...platformFlags(platform)];
  const read = async (what: readonly string[]): Promise<string> => {
    const args = [...flags, "inspect", "--raw", ...what, "--", image];
    const { stdout } = await mustRun("skopeo", args, { signal });
    return `sha256:${createHash("sha256").update(stdout).digest("hex")}`;
  };
  return { id: await read(["--config"]), digest: await read([]) };
}
