import type { PushedIndex } from "./images.ts";
import type { Registry } from "./registry.ts";
import { skopeo } from "./skopeo.ts";

/**
 * Copies an image out of a registry, by its digest, with skopeo.
 *
 * @param registry Where it is.
 * @param image The image, or an index.
 * @param destination Where to, as containers-transports(5) has it: `oci-archive:/path:tag`.
 * @param flags More flags of `skopeo copy`: `--all`, `--override-arch=arm64`.
 *
 * @example Usage
 * ```ts ignore
 * await copyTo(registry, image, `docker-archive:${dir.join("caddy.tar")}:caddy:2.8`);
 * ```
 */
export async function copyTo(
  registry: Registry,
  image: PushedIndex,
  destination: string,
  ...flags: string[]
): Promise<void> {
  const source = `docker://${image.name}@${image.digest}`;
  await skopeo("copy", "--quiet", ...registry.flags("src"), ...flags, source, destination);
}
