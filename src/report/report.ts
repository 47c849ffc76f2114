import * as v from "valibot";
import { closed, described, Digest } from "../../config/schema_parts.ts";
import type { DrawnNode } from "../graph/draw.ts";
import type { StoreOptions } from "../maintain/look_after.ts";
import type { Finding } from "../finding.ts";
import type { VerifyResult } from "../maintain/verify.ts";
import { type LastRun, LastRunSchema } from "../store/last_run.ts";

/** What `report` takes. */
export interface ReportOptions extends StoreOptions {
  /** Whether the images of the report are verified for it; what is damaged is put aside then. */
  readonly verify?: boolean;
}

/** What the policy asks of a source's image, and whether the image meets it. */
export interface ReportTrust {
  /** Name of the source; with its platform, where it has several. */
  readonly source: string;
  /** Whether the image is accepted, by the signatures that the store keeps with it. */
  readonly accepted: boolean;
  /** What has to be met, all of it: types of containers-policy.json(5), with the files of keys. */
  readonly asks: readonly { readonly type: string; readonly keys: readonly string[] }[];
  /** Where that is said: the scope, and the policy. */
  readonly where: string;
  /** Why nobody could tell; absent where it was found out. */
  readonly problem?: string;
}

/** An image of the report. */
export interface ReportImage {
  /** Image id: the digest of its config. */
  readonly id: string;
  /** Digest of its manifest, as its source has it; absent where no manifest is there. */
  readonly digest?: string;
  /** Digest of the index that it was chosen from. */
  readonly index?: string;
  /** Names of the sources that it is what was fetched for. */
  readonly names: readonly string[];
  /** Where it is to be had, as containers-transports(5) has it; absent where nothing is recorded. */
  readonly reference?: string;
  /** Its platform, where that is known. */
  readonly platform?: string;
  /** The place that served it, as containers-transports(5) has it. */
  readonly from?: string;
  /** The mirror of that place that gave manifest and config: a repository. */
  readonly mirror?: string;
  /** When it was fetched, as ISO 8601 has it. */
  readonly fetched?: string;
  /** When it was made, as its config says, as ISO 8601 has it. */
  readonly created?: string;
  /** Whether all of it is in the store. */
  readonly complete: boolean;
  /** Size of manifest, config and layers together, in bytes. */
  readonly size: number;
  /** Size of what no other image of the store has, in bytes. */
  readonly own: number;
  /** Digests of its layers, the lowest first. */
  readonly layers: readonly string[];
  /** Kinds of the signatures that the store keeps with it. */
  readonly signatures: readonly ("gpg" | "sigstore")[];
  /** What the policy says of it, for each source that it is of. */
  readonly trust: readonly ReportTrust[];
}

/** A layer of images of the report. */
export interface ReportLayer {
  /** Its digest. */
  readonly digest: string;
  /** Its size, packed, in bytes. */
  readonly size: number;
  /** Ids of the images that have it. */
  readonly images: readonly string[];
}

/** What a reviewer of a config wants to know. */
export interface Report {
  /** Version of the format. */
  readonly schema: 1;
  /** When it was made, as ISO 8601 has it; `SOURCE_DATE_EPOCH` where that is set. */
  readonly generated: string;
  /** Version of the stowage that made it. */
  readonly stowage: string;
  /** The store's folder. */
  readonly store: string;
  /** The graph of the config, each node behind those that it needs. */
  readonly nodes: readonly DrawnNode[];
  /** The images of the config, in its order; all of the store, where the config has no sources. */
  readonly images: readonly ReportImage[];
  /** Names of the sources that the store has no image of. */
  readonly absent: readonly string[];
  /** How many other images the store has. */
  readonly others: number;
  /** The layers of the images, each once. */
  readonly layers: readonly ReportLayer[];
  /** Size of the images together, what they share counted once, in bytes. */
  readonly size: number;
  /** The last run that fetched something or ran a stage; absent where none is recorded. */
  readonly run?: LastRun;
  /** What a verification for this report has found; absent where nothing was verified. */
  readonly verification?: Pick<VerifyResult, "findings" | "images" | "files" | "trees" | "bytes">;
}

const Time = v.pipe(v.string(), v.isoTimestamp());
const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Strings = v.array(v.string());
const Text = v.string();

const FindingSchema: v.GenericSchema<Finding> = closed({
  kind: described(
    v.picklist([
      ...["archive", "artifact", "blob", "config", "diff-id", "docker-archive", "folder"] as const,
      ...["image", "index", "layer", "manifest", "origin", "referrer", "tree"] as const,
    ]),
    "What it is",
  ),
  problem: described(
    v.picklist(["missing", "size", "content", "format", "link", "unreadable"]),
    "How it is wrong, in a word",
  ),
  message: described(Text, "What is wrong, in words"),
  path: described(Text, "Where it is, or was"),
  links: described(Strings, "The same file in other places, where it is as wrong"),
  digest: v.exactOptional(described(Text, "The digest that it has to have, where that is known")),
  id: v.exactOptional(described(Text, "Id of the stage, for a tree")),
  stage: v.exactOptional(described(Text, "Name of the stage, for a tree whose record says it")),
  entries: described(Strings, "Ids of the images that it belongs to"),
  quarantine: v.exactOptional(
    described(Text, "The folder that it was put aside in; absent where it stays where it is"),
  ),
});

const NodeSchema: v.GenericSchema<DrawnNode> = closed({
  kind: described(v.picklist(["source", "artifact", "tags", "input", "stage"]), "Kind of the node"),
  key: described(Text, "Its key, such as source/app"),
  name: described(Text, "Its name in the config"),
  needs: described(Strings, "Keys of the nodes that it needs"),
  text: described(Text, "What it is, in a line"),
});

const TrustSchema: v.GenericSchema<ReportTrust> = closed({
  source: described(Text, "Name of the source; with its platform, where it has several"),
  accepted: described(
    v.boolean(),
    "Whether the image is accepted, by the signatures that the store keeps with it",
  ),
  asks: described(
    v.array(closed({
      type: described(Text, "Type of the requirement, as containers-policy.json(5) has it"),
      keys: described(Strings, "Files of the keys, one of which has to have signed"),
    })),
    "What has to be met, all of it",
  ),
  where: described(Text, "Where that is said: the scope, and the policy"),
  problem: v.exactOptional(
    described(Text, "Why nobody could tell; absent where it was found out"),
  ),
});

const ImageSchema: v.GenericSchema<ReportImage> = closed({
  id: described(Digest, "Image id: the digest of its config"),
  digest: v.exactOptional(
    described(
      Digest,
      "Digest of its manifest, as its source has it; absent where no manifest is there",
    ),
  ),
  index: v.exactOptional(described(Digest, "Digest of the index that it was chosen from")),
  names: described(Strings, "Names of the sources that it is what was fetched for"),
  reference: v.exactOptional(
    described(
      Text,
      "Where it is to be had, as containers-transports(5) has it; absent where nothing is recorded",
    ),
  ),
  platform: v.exactOptional(described(Text, "Its platform, where that is known")),
  from: v.exactOptional(
    described(Text, "The place that served it, as containers-transports(5) has it"),
  ),
  mirror: v.exactOptional(
    described(Text, "The mirror of that place that gave manifest and config: a repository"),
  ),
  fetched: v.exactOptional(described(Time, "When it was fetched, as ISO 8601 has it")),
  created: v.exactOptional(
    described(Time, "When it was made, as its config says, as ISO 8601 has it"),
  ),
  complete: described(v.boolean(), "Whether all of it is in the store"),
  size: described(Count, "Size of manifest, config and layers together, in bytes"),
  own: described(Count, "Size of what no other image of the store has, in bytes"),
  layers: described(v.array(Digest), "Digests of its layers, the lowest first"),
  signatures: described(
    v.array(v.picklist(["gpg", "sigstore"])),
    "Kinds of the signatures that the store keeps with it",
  ),
  trust: described(
    v.array(TrustSchema),
    "What the policy says of it, for each source that it is of",
  ),
});

/** The schema of a report. */
export const ReportSchema: v.GenericSchema<Report> = closed({
  schema: described(v.literal(1), "Version of the format"),
  generated: described(
    Time,
    "When it was made, as ISO 8601 has it; SOURCE_DATE_EPOCH where that is set",
  ),
  stowage: described(Text, "Version of the stowage that made it"),
  store: described(Text, "The store's folder"),
  nodes: described(
    v.array(NodeSchema),
    "The graph of the config, each node behind those that it needs",
  ),
  images: described(
    v.array(ImageSchema),
    "The images of the config, in its order; all of the store, where the config has no sources",
  ),
  absent: described(Strings, "Names of the sources that the store has no image of"),
  others: described(Count, "How many other images the store has"),
  layers: described(
    v.array(closed({
      digest: described(Digest, "Its digest"),
      size: described(Count, "Its size, packed, in bytes"),
      images: described(v.array(Digest), "Ids of the images that have it"),
    })),
    "The layers of the images, each once",
  ),
  size: described(Count, "Size of the images together, what they share counted once, in bytes"),
  run: v.exactOptional(
    described(
      LastRunSchema,
      "The last run that fetched something or ran a stage; absent where none is recorded",
    ),
  ),
  verification: v.exactOptional(
    described(
      closed({
        findings: described(
          v.array(FindingSchema),
          "What is not what it has to be; it is in quarantine/ where that could be written",
        ),
        images: described(Count, "How many images were looked at"),
        files: described(Count, "How many files were hashed; hard links count once"),
        trees: described(Count, "How many trees were read"),
        bytes: described(Count, "How many bytes of files were hashed"),
      }),
      "What a verification for this report has found; absent where nothing was verified",
    ),
  ),
});
