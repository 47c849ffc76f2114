import type * as v from "valibot";
import type { Fallback, Reference, RegistryOptions, RegistrySettings } from "../../config/mod.ts";
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
  /** Which builder makes an image of it in a config, and what that takes before its options. */
  builder(image: Image): Builder;
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
  /**
   * What decides which image it is, and nothing of how it is reached: plain data to hash, and to
   * record in the store.
   */
  meaning(location: Location): Readonly<Record<string, unknown>>;
  /**
   * What is recorded of how it is reached: plain data without secrets. Files with credentials and
   * certificates are left out: the config or the machine names them when it is reached again.
   */
  access(location: Location): Readonly<Record<string, unknown>>;
  /** Reads a location, with its paths absolute, from what was recorded of both. */
  readonly recorded: v.GenericSchema<unknown, Location>;
  /** The location with its paths absolute; relative ones start from the folder. */
  absolute(location: Location, root: string): Location;
  /** Who serves it: one that is slow does not keep the others waiting. */
  server(location: Location): string;
  /** Whether it takes the network, so that it is not asked offline. */
  isRemote(location: Location): boolean;
  /** The location by its tag alone; `undefined` where no tag moves unseen. */
  byTag(location: Location): Location | undefined;
  /** A location that was recorded, as the settings of the config say that it is reached. */
  reachedBy(location: Location, reach: Reach): Location;
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

/**
 * Says how a registry is reached for an image.
 *
 * @param reference The image.
 * @param own What was said for it alone; the config's settings of the registry say the rest.
 * @param known How it was reached before: it counts where the config says nothing.
 * @returns How it is reached, with paths absolute.
 */
export type Reach = (
  reference: Reference,
  own?: RegistryOptions,
  known?: RegistryOptions,
) => RegistryOptions & { readonly tlsVerify: boolean };

/** A builder of the config language. */
export interface Builder {
  /** Its name. */
  readonly name: string;
  /** The key of the data that it makes whose value it takes first. */
  readonly first: string;
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
  & Pick<
    Transport<Image, Location>,
    "builder" | "read" | "format" | "absolute" | "recorded" | "open"
  >
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
    meaning: (location) => ({ ...location }),
    access: () => ({}),
    server: ({ transport }) => transport,
    isRemote: () => false,
    byTag: () => undefined,
    reachedBy: (location) => location,
    reachedAs: () => undefined,
    ...own,
  };
}
