import type { Config, Input, Platform, Stage, TagRule } from "../../config/mod.ts";
import type { InputImage } from "../inputs/mod.ts";
import type { Location } from "../transports/mod.ts";

/** The kinds of nodes, in the order in which they are declared. */
export type NodeKind = "source" | "artifact" | "tags" | "input" | "stage";

/** What every node has. */
export interface BaseNode {
  /** What kind of node it is. */
  readonly kind: NodeKind;
  /** `<section>/<name>`, such as `source/web`; unique in a graph. */
  readonly key: string;
  /** Its name in the config. */
  readonly name: string;
  /** sha256 of its meaning and of the ids that it needs, 64 hex digits. */
  readonly id: string;
  /** Keys of the nodes that must be done before. */
  readonly needs: readonly string[];
}

/** An image that has to be in the store. */
export interface SourceNode extends BaseNode {
  /** What kind of node it is. */
  readonly kind: "source";
  /** Its name in the config; with several platforms, `name` has the platform as well. */
  readonly source: string;
  /** Name of the source in the config that has a rule for tags, one of which this one is. */
  readonly family?: string;
  /** Where the image may be, in the order in which they are tried. */
  readonly locations: readonly [Location, ...Location[]];
  /** Digest of the manifest or the index that the config asks for. */
  readonly digest?: string;
  /** Whether it is the lock that says that digest. */
  readonly digestIsLocked?: boolean;
  /** The index that the lock says the image was chosen from. */
  readonly lockedIndex?: string;
  /** Image id that the config asks for. */
  readonly imageId?: string;
  /** The platform that the image is for. */
  readonly platform: Platform;
  /** Whether the config names the platform, so that another is wrong. */
  readonly platformIsGiven: boolean;
  /** Whether the index that the image is chosen from is kept too. */
  readonly keepsIndex: boolean;
  /** Whether the images of all platforms of that index are kept too. */
  readonly wantsAll: boolean;
  /** Which referrers of it come along: all, or those of these kinds; absent where none does. */
  readonly referrers?: true | readonly string[];
  /** The tag that it is asked for by; absent where a digest says it all. */
  readonly tag?: string;
  /** Whether the config names a tag beside the digest, which has to stand for it. */
  readonly checksTag: boolean;
  /** Whether the config itself, without a lock, says which image it is. */
  readonly isPinned: boolean;
  /** Why the lock does not say which image it is; absent where it does, or there is no lock. */
  readonly unlocked?: string;
}

/** What is no image, and has to be in the store. */
export interface ArtifactNode extends BaseNode {
  /** What kind of node it is. */
  readonly kind: "artifact";
  /** Its name in the config, with its tag where a rule says that. */
  readonly source: string;
  /** Name of the source in the config that has a rule for tags, one of which this one is. */
  readonly family?: string;
  /** Where it is; there is one place. */
  readonly locations: readonly [Location];
  /** Digest of its manifest that the config or the lock asks for. */
  readonly digest?: string;
  /** Whether it is the lock that says that digest. */
  readonly digestIsLocked?: boolean;
  /** The tag that it is asked for by; absent where a digest says it all. */
  readonly tag?: string;
  /** Whether the config itself, without a lock, says what it is. */
  readonly isPinned: boolean;
  /** Why the lock does not say what it is; absent where it does, or there is no lock. */
  readonly unlocked?: string;
}

/** A source that stands for several tags, and the lock does not say which. */
export interface TagsNode extends BaseNode {
  /** What kind of node it is. */
  readonly kind: "tags";
  /** Where they are. */
  readonly location: Location;
  /** The repository, `host[:port]/path`. */
  readonly repository: string;
  /** Which of its tags are meant. */
  readonly rule: TagRule;
  /** Why they are not known. */
  readonly unexpanded: string;
}

/** What a stage reads. */
export interface InputNode extends BaseNode {
  /** What kind of node it is. */
  readonly kind: "input";
  /** The input as the config has it. */
  readonly input: Input;
  /** Which images it gives, and what they are called where they are installed. */
  readonly images: readonly InputImage[];
}

/** What makes a tree. */
export interface StageNode extends BaseNode {
  /** What kind of node it is. */
  readonly kind: "stage";
  /** The stage as the config has it. */
  readonly stage: Stage;
  /** Keys of its inputs, in the order of the config. */
  readonly inputs: readonly string[];
  /** Key of the stage whose tree it continues. */
  readonly on?: string;
  /** Whether no other stage continues it, so that its tree is a result. */
  readonly isResult: boolean;
}

/** A node of a graph. */
export type Node = SourceNode | ArtifactNode | TagsNode | InputNode | StageNode;

/** What a config says of the whole run. */
export type Settings = Pick<
  Config,
  "digests" | "policy" | "registriesD" | "mirrors" | "registries" | "cache"
>;

/** What a config means: its nodes by key, each behind those that it needs. */
export interface Graph {
  /** What the config says of the whole run. */
  readonly settings: Settings;
  /** The nodes by key, each behind those that it needs. */
  readonly nodes: ReadonlyMap<string, Node>;
}
