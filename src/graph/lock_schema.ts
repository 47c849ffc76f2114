import * as v from "valibot";
import { closed, Digest, keyed } from "../../config/schema_parts.ts";

/** What a source's image is on one platform. */
export interface LockedImage {
  /** Digest of the manifest, as the source has it. */
  readonly digest: string;
  /** Image id. */
  readonly id: string;
  /** Media type of the manifest; absent where the lock was imported and no registry was asked. */
  readonly mediaType?: string;
  /** Size of config and layers, in bytes; absent where the media type is. */
  readonly size?: number;
}

/** What a source stood for when it was locked. */
export interface LockedSource {
  /** Where it is, in skopeo's words and as the config has it: an entry is for this place only. */
  readonly reference: string;
  /** The tag that was asked for. */
  readonly tag?: string;
  /** The index that the tag stood for. */
  readonly index?: {
    /** Its digest. */
    readonly digest: string;
    /** Its media type; absent where the lock was imported and no registry was asked. */
    readonly mediaType?: string;
    /** Its size, in bytes; absent where the media type is. */
    readonly size?: number;
  };
  /** What it is on each platform, by `os/arch[/variant]`. */
  readonly platforms: Readonly<Record<string, LockedImage>>;
}

/** The content of `images.lock.json`: what the tags of a config meant. */
export interface Lock {
  /** Where the JSON Schema of the lock is, for editors. */
  readonly $schema?: string;
  /** Version of the format. */
  readonly schema: 1;
  /** The sources by name. */
  readonly sources: Readonly<Record<string, LockedSource>>;
}

const SIZE = "a whole number from 0";
const told = {
  mediaType: v.exactOptional(v.string()),
  size: v.exactOptional(v.pipe(v.number(), v.safeInteger(SIZE), v.minValue(0, SIZE))),
};

/** The schema of `images.lock.json`. */
export const LockSchema: v.GenericSchema<Lock> = keyed(closed({
  $schema: v.exactOptional(v.string()),
  schema: v.literal(1),
  sources: keyed(v.record(
    v.string(),
    closed({
      reference: v.string(),
      tag: v.exactOptional(v.string()),
      index: v.exactOptional(closed({ digest: Digest, ...told })),
      platforms: keyed(v.record(
        v.pipe(v.string(), v.regex(/^[^/]+(\/[^/]+){1,2}$/, '"os/arch[/variant]"')),
        closed({ digest: Digest, id: Digest, ...told }),
      )),
    }),
  )),
}));
