import type { PlatformName } from "./platform.ts";
import * as v from "valibot";
import type { Same } from "./same.ts";
import { ArtifactSchema, type ArtifactSource } from "./artifacts.ts";
import { described, Digest, Platform } from "./schema_parts.ts";
import type { Fallback, SourceImage } from "./transports/mod.ts";
import { fallbackSchemas, sourceSchemas } from "./transports/schemas.ts";

/** What every source takes. */
export interface SourceOptions {
  /** Digest of the manifest or of the index, `sha256:…`, as the registry serves it. */
  readonly digest?: string;
  /** Image id, `sha256:…`: the digest of the image's config, checked after the download. */
  readonly id?: string;
  /** `os/arch[/variant]`, or one of Debian's names such as `armhf`; this machine's if absent. */
  readonly platform?: PlatformName;
  /** Several platforms: one image for each, named by its platform. */
  readonly platforms?: readonly PlatformName[];
  /**
   * Whether the index is kept too, so that an installed image can be run by its digest; where no
   * platform is named, the images of all its platforms are kept with it.
   */
  readonly index?: boolean;
  /** Where the image may come from instead, tried in order while the image is absent. */
  readonly fallback?: readonly Fallback[];
}

/** Where an image, or what is none, comes from and what it must be, as plain data. */
export type Source = ImageSource | ArtifactSource;

/** Where an image comes from and what it must be, as plain data. */
export type ImageSource = SourceOptions & SourceImage;

const FallbackSchema = v.variant("type", fallbackSchemas);
true satisfies Same<v.InferOutput<typeof FallbackSchema>, Fallback>;

const pins = {
  digest: v.exactOptional(
    described(
      Digest,
      "Digest of the manifest or of the index, sha256:…, as the registry serves it",
    ),
  ),
  id: v.exactOptional(
    described(
      Digest,
      "Image id, sha256:…: the digest of the image's config, checked after the download",
    ),
  ),
  platform: v.exactOptional(
    described(
      Platform,
      "os/arch[/variant], or one of Debian's names such as armhf; this machine's if absent",
    ),
  ),
  platforms: v.exactOptional(
    described(
      v.pipe(v.array(Platform), v.nonEmpty("at least one platform")),
      "Several platforms: one image for each, named by its platform",
    ),
  ),
  index: v.exactOptional(
    described(
      v.boolean(),
      "Whether the index is kept too, so that an installed image can be run by its digest; where no platform is named, the images of all its platforms are kept with it",
    ),
  ),
  fallback: v.exactOptional(
    described(
      v.array(FallbackSchema),
      "Where the image may come from instead, tried in order while the image is absent",
    ),
  ),
};

/** The schema of {@linkcode Source}. */
export const SourceSchema = v.variant("type", [...sourceSchemas(pins), ArtifactSchema]);
true satisfies Same<v.InferOutput<typeof SourceSchema>, Source>;
