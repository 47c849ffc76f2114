import type { Platform, StorageLocation, TreeAttributes, TreePatterns } from "../config/mod.ts";

/** An image that a stage reads. */
export interface StageImage {
  /** The format of `path`, in skopeo's words. */
  readonly format: "dir" | "oci-archive";
  /** Where it is; programs of the stage cannot change it there. */
  readonly path: string;
  /** Image id. */
  readonly id: string;
  /** Digest of its manifest as it is in `path`. */
  readonly digest: string;
  /** What it is called where it is installed: normalised references, at least one. */
  readonly names: readonly string[];
  /** The file of the manifest list that it was chosen from, where that is kept. */
  readonly index?: string;
  /** What else of that list the store has, for other platforms or for none; absent where it asks for none. */
  readonly listed?: readonly ListedImage[];
  /** What the list is called; absent where that is `names`, as it is no image of several platforms. */
  readonly listNames?: readonly string[];
  /** The platform that it is for. */
  readonly platform: Platform;
}

/** An image of a manifest list. */
export interface ListedImage {
  /** Digest of its manifest. */
  readonly digest: string;
  /** Where it is, in the format of the `dir` transport. */
  readonly path: string;
}

/** An image in a containers-storage of this machine. */
export interface HostImage extends Pick<StageImage, "id" | "names" | "platform"> {
  /** The storage; its paths are absolute. */
  readonly storage: StorageLocation;
}

/** What a stage gets, input by input. */
export type GivenInput =
  | {
    /** Name of the input. */
    readonly name: string;
    /** The input gives images. */
    readonly kind: "images";
    /** The images. */
    readonly images: readonly StageImage[];
  }
  | {
    /** Name of the input. */
    readonly name: string;
    /** The input gives a tree. */
    readonly kind: "tree";
    /** The folder; it must not be changed. */
    readonly path: string;
    /** Which part of it is meant; all of it if absent. */
    readonly patterns?: TreePatterns;
    /** How its files are seen, where that is not as they are. */
    readonly attributes?: TreeAttributes;
    /** The time of its files, in seconds since 1970; that of the stage if absent. */
    readonly date?: number;
    /** Whether the folder itself belongs to the tree: its mode, its owner. */
    readonly hasRoot?: boolean;
    /** What the folder was like when its content was hashed; absent where nobody else changes it. */
    readonly fingerprint?: string;
  };

/** What a stage reads, input by input. */
export type StageInput = GivenInput | {
  /** Name of the input. */
  readonly name: string;
  /** The input is an image of this machine, which a stage gets a copy of when it runs. */
  readonly kind: "host-image";
  /** The image. */
  readonly image: HostImage;
};

/** An input whose content is known. */
export interface ResolvedInput {
  /** sha256 of its content, 64 hex digits: what it was made of decides the ids of stages. */
  readonly id: string;
  /** When it was changed, in seconds since 1970, where the user has said no time for all. */
  readonly date?: number;
  /** What a stage reads. */
  readonly input: StageInput;
}
