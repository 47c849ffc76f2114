import type { Fallback, Reference, RegistrySettings } from "../../config/mod.ts";
import type { SkopeoAccess, SkopeoImage } from "../tools/skopeo_args.ts";
import type { Subject } from "../trust/policy.ts";

/**
 * All that is asked of a transport.
 *
 * @typeParam Image What the config has for an image of it.
 * @typeParam Location The same with every value read.
 */
export interface Transport<Image, Location> {
  /**
   * Whether policies name its images, as they do those of registries, and not the files that they
   * are in, as containers-policy.json(5) has it.
   */
  readonly isNamed: boolean;
  /** What to do where it does not have an image; `undefined` where that depends on why. */
  readonly advice: string | undefined;
  /**
   * Reads the values of an image whose shape is right.
   *
   * @param image The image.
   * @param around What the config says beside it.
   * @returns Where the image is; `undefined` if there is no reference to look for.
   * @throws {InvalidValueError} If a value cannot be read, which the schema rules out.
   */
  read(image: Image, around: Surroundings): Location | undefined;
  /** Writes a location as containers-transports(5) has it, without what it needs to be reached. */
  format(location: Location): string;
  /** What decides which image it is, and nothing of how it is reached: plain data to hash. */
  meaning(location: Location): object;
  /** The location with its paths absolute; relative ones start from the folder. */
  absolute(location: Location, root: string): Location;
  /** Who serves it: one that is slow does not keep the others waiting. */
  server(location: Location): string;
  /** Whether it takes the network, so that it is not asked offline. */
  isRemote(location: Location): boolean;
  /** The location by its tag alone; `undefined` where no tag moves unseen. */
  byTag(location: Location): Location | undefined;
  /** The location as it is reached where another one is; `undefined` where that says nothing of it. */
  reachedAs(location: Location, other: Location): Location | undefined;
  /**
   * Says a location, with its paths absolute, in skopeo's words.
   *
   * @throws {Absence} If there is nothing that could have the image.
   */
  open(location: Location, options: PlaceOptions): Promise<Place>;
  /** The image of the same place with an id, whatever it is called; absent where ids find none. */
  openById?(location: Location, id: string, options: PlaceOptions): Promise<Place>;
}

/** What a config says of an image in other places than at the image. */
export interface Surroundings {
  /** What to look for where the image has no reference of its own. */
  readonly reference?: Reference | undefined;
  /** How registries are reached. */
  readonly registries?: RegistrySettings | undefined;
}

/** What a place is made from, beside the location. */
export interface PlaceOptions {
  /** Folder for links to files whose names skopeo would take apart. */
  readonly scratch: () => Promise<string>;
  /** Digest that the image is asked for by. */
  readonly digest?: string | undefined;
  /** Whether it is the lock that says that digest. */
  readonly digestIsLocked?: boolean | undefined;
}

/** An image of a place. */
export interface PlaceImage {
  /** As skopeo is told it. */
  readonly skopeo: SkopeoImage;
  /** Its name in a registry, which gives manifests, and layers one by one, without skopeo as well. */
  readonly inRegistry?: Reference;
}

/** A location as skopeo is told it. */
export interface Place extends Subject {
  /** As a person reads it. */
  readonly label: string;
  /** The image, or the index that its name stands for. */
  readonly image: PlaceImage;
  /** How it is reached. */
  readonly how: SkopeoAccess;
  /** Whether it takes the network. */
  readonly isRemote: boolean;
  /** Whether what is copied has the manifest that it shows, for whose layers its signatures are. */
  readonly keepsManifest: boolean;
  /**
   * One image of it, by the digest of its manifest; `undefined` where the transport has no such
   * names, so that skopeo has to be told the platform.
   */
  byDigest(digest: string): PlaceImage | undefined;
  /** What skopeo says of it, as a person reads it. */
  plain(words: string): string;
}

/** What a transport has to say for itself; for the rest it may be as files of this machine are. */
type Own<Image, Location> =
  & Pick<Transport<Image, Location>, "read" | "format" | "absolute" | "open">
  & Partial<Transport<Image, Location>>;

/**
 * Makes a transport.
 *
 * @param own What it does in another way than files of this machine.
 * @returns The transport.
 */
export function defineTransport<
  Image extends Fallback,
  Location extends { readonly transport: string },
>(own: Own<Image, Location>): Transport<Image, Location> {
  return {
    isNamed: false,
    advice: "look whether the path is right: paths are relative to the config",
    meaning: (location) => location,
    server: ({ transport }) => transport,
    isRemote: () => false,
    byTag: () => undefined,
    reachedAs: () => undefined,
    ...own,
  };
}
