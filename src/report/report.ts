import * as v from "valibot";
import { closed, Digest } from "../../config/schema_parts.ts";
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

const FindingSchema: v.GenericSchema<Finding> = closed({
  kind: v.picklist([
    ...["archive", "blob", "config", "diff-id", "docker-archive", "folder"] as const,
    ...["image", "index", "layer", "manifest", "origin", "tree"] as const,
  ]),
  problem: v.picklist(["missing", "size", "content", "format", "link", "unreadable"]),
  message: v.string(),
  path: v.string(),
  links: Strings,
  digest: v.exactOptional(v.string()),
  id: v.exactOptional(v.string()),
  stage: v.exactOptional(v.string()),
  entries: Strings,
  quarantine: v.exactOptional(v.string()),
});

/** The schema of a report. */
export const ReportSchema: v.GenericSchema<Report> = closed({
  schema: v.literal(1),
  generated: Time,
  stowage: v.string(),
  store: v.string(),
  nodes: v.array(closed({
    kind: v.picklist(["source", "input", "stage"]),
    key: v.string(),
    name: v.string(),
    needs: Strings,
    text: v.string(),
  })),
  images: v.array(closed({
    id: Digest,
    digest: v.exactOptional(Digest),
    index: v.exactOptional(Digest),
    names: Strings,
    reference: v.exactOptional(v.string()),
    platform: v.exactOptional(v.string()),
    from: v.exactOptional(v.string()),
    mirror: v.exactOptional(v.string()),
    fetched: v.exactOptional(Time),
    created: v.exactOptional(Time),
    complete: v.boolean(),
    size: Count,
    own: Count,
    layers: v.array(Digest),
    signatures: v.array(v.picklist(["gpg", "sigstore"])),
    trust: v.array(closed({
      source: v.string(),
      accepted: v.boolean(),
      asks: v.array(closed({ type: v.string(), keys: Strings })),
      where: v.string(),
      problem: v.exactOptional(v.string()),
    })),
  })),
  absent: Strings,
  others: Count,
  layers: v.array(closed({ digest: Digest, size: Count, images: v.array(Digest) })),
  size: Count,
  run: v.exactOptional(LastRunSchema),
  verification: v.exactOptional(closed({
    findings: v.array(FindingSchema),
    images: Count,
    files: Count,
    trees: Count,
    bytes: Count,
  })),
});
