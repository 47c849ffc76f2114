import * as v from "valibot";
import { closed, described, Digest, keyed } from "../../config/schema_parts.ts";
import { type TagRule, TagRuleSchema } from "../../config/tags.ts";

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

/** What an artifact was when it was locked. */
export interface LockedArtifact {
  /** Where it is, in skopeo's words and as the config has it: an entry is for this place only. */
  readonly reference: string;
  /** The tag that was asked for. */
  readonly tag?: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** Media type of its manifest. */
  readonly mediaType: string;
  /** What it is: its `artifactType`, or the media type of its config. */
  readonly kind: string;
  /** Size of config and layers, in bytes. */
  readonly size: number;
}

/** Which tags a rule stood for when it was locked. */
export interface LockedTags {
  /** Where they are, `host[:port]/path`: an entry is for this repository only. */
  readonly repository: string;
  /** The rule: an entry is for this one only. */
  readonly rule: TagRule;
  /** The tags, the highest first; each is a source of its own, called `name:tag`. */
  readonly tags: readonly string[];
}

/** The content of `images.lock.json`: what the tags of a config meant. */
export interface Lock {
  /** Where the JSON Schema of the lock is, for editors. */
  readonly $schema?: string;
  /** Version of the format. */
  readonly schema: 1;
  /** The sources by name. */
  readonly sources: Readonly<Record<string, LockedSource>>;
  /** What artifacts were, by name of the source. */
  readonly artifacts?: Readonly<Record<string, LockedArtifact>>;
  /** The tags of sources that have a rule for them, by name of the source. */
  readonly tags?: Readonly<Record<string, LockedTags>>;
}

const SIZE = "a whole number from 0";
const Bytes = v.pipe(v.number(), v.safeInteger(SIZE), v.minValue(0, SIZE));
const asked = {
  reference: described(
    v.string(),
    "Where it is, in skopeo's words and as the config has it: an entry is for this place only",
  ),
  tag: v.exactOptional(described(v.string(), "The tag that was asked for")),
};
const told = {
  mediaType: v.exactOptional(
    described(
      v.string(),
      "Media type of the manifest; absent where the lock was imported and no registry was asked",
    ),
  ),
  size: v.exactOptional(
    described(
      Bytes,
      "Size of config and layers, in bytes; absent where the media type is",
    ),
  ),
};

/** The schema of `images.lock.json`. */
export const LockSchema: v.GenericSchema<Lock> = keyed(closed({
  $schema: v.exactOptional(
    described(v.string(), "Where the JSON Schema of the lock is, for editors"),
  ),
  schema: described(v.literal(1), "Version of the format"),
  sources: described(
    keyed(v.record(
      v.string(),
      closed({
        ...asked,
        index: v.exactOptional(
          described(
            closed({
              digest: described(Digest, "Digest of the manifest, as the source has it"),
              ...told,
            }),
            "The index that the tag stood for",
          ),
        ),
        platforms: described(
          keyed(v.record(
            v.pipe(v.string(), v.regex(/^[^/]+(\/[^/]+){1,2}$/, '"os/arch[/variant]"')),
            closed({
              digest: described(Digest, "Digest of the manifest, as the source has it"),
              id: described(Digest, "Image id"),
              ...told,
            }),
          )),
          "What it is on each platform, by os/arch[/variant]",
        ),
      }),
    )),
    "The sources by name",
  ),
  artifacts: v.exactOptional(described(
    keyed(v.record(
      v.string(),
      closed({
        ...asked,
        digest: described(Digest, "Digest of its manifest"),
        mediaType: described(v.string(), "Media type of its manifest"),
        kind: described(
          v.string(),
          "What it is: its artifactType, or the media type of its config",
        ),
        size: described(Bytes, "Size of config and layers, in bytes"),
      }),
    )),
    "What artifacts were, by name of the source",
  )),
  tags: v.exactOptional(described(
    keyed(v.record(
      v.string(),
      closed({
        repository: described(
          v.string(),
          "Where they are, host[:port]/path: an entry is for this repository only",
        ),
        rule: described(TagRuleSchema, "The rule: an entry is for this one only"),
        tags: described(
          v.pipe(
            v.array(v.pipe(v.string(), v.regex(/^\w[\w.-]{0,127}$/, "a tag"))),
            v.nonEmpty("at least one tag"),
          ),
          "The tags, the highest first; each is a source of its own, called name:tag",
        ),
      }),
    )),
    "The tags of sources that have a rule for them, by name of the source",
  )),
}));
