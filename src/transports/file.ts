import type { SkopeoImage } from "../tools/skopeo_args.ts";
import type { Place } from "./transport.ts";

/**
 * The place of an image in a file or folder of this machine.
 *
 * @param label As a person reads it.
 * @param skopeo As skopeo is told it.
 * @param plain What skopeo says of it, as a person reads it.
 * @returns The place.
 */
export function openFile(
  label: string,
  skopeo: SkopeoImage,
  plain: (words: string) => string,
): Place {
  return {
    ...{ transport: skopeo.transport, label, image: { skopeo }, how: {}, plain },
    ...{ isRemote: false, keepsManifest: true },
    byDigest: () => undefined,
  };
}
