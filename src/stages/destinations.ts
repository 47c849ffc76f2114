import type { Destination } from "../../config/mod.ts";
import type { OpenDestination } from "./run/open_destination.ts";
import type { StageContext } from "./stage.ts";
import type { Filled } from "./stage_kind.ts";

/** Where a containers-storage is in a tree unless told. */
export const STORAGE_PATH = "/var/lib/containers/storage";

/** All that is asked of a kind of destination. */
export interface DestinationKind<D extends Destination = Destination> {
  /** Whether it holds several images, and one by several names. */
  readonly holdsSeveral: boolean;
  /** Whether a name there may stand for a list of images of several platforms. */
  readonly holdsLists: boolean;
  /** Whether it holds signatures; skopeo does not leave them out unasked. */
  readonly holdsSignatures: boolean;
  /** Whether it is no part of the tree, so that images go there on each run, by the network. */
  readonly isElsewhere: boolean;
  /** Whether skopeo may write the config of an image anew for it, so that it has another id there. */
  readonly convertsConfigs: boolean;
  /** What of the tree an image takes there that has a name, and no other can have after it. */
  fills(destination: D, name: string): Filled[];
  /** Path in the tree of a storage that podman does not use anyway, but may be told of. */
  storagePath(destination: D): string | undefined;
  /**
   * Makes it ready to take images.
   *
   * @throws {StageError} If the tree has a link where images are to be written.
   */
  open(destination: D, context: StageContext): Promise<OpenDestination>;
}

const load = () => import("./run/open_destination.ts");

const file = {
  holdsSeveral: false,
  holdsLists: false,
  holdsSignatures: false,
  convertsConfigs: false,
  isElsewhere: false,
  fills: ({ path }) => [{ path }],
  storagePath: () => undefined,
  open: async (destination, context) => (await load()).openFile(destination, context),
} satisfies DestinationKind<Extract<Destination, { readonly path: string }>>;

const KINDS: {
  readonly [Type in Destination["type"]]: DestinationKind<Destination & { readonly type: Type }>;
} = {
  "containers-storage": {
    holdsSeveral: true,
    holdsLists: false,
    holdsSignatures: true,
    convertsConfigs: false,
    isElsewhere: false,
    fills: ({ path = STORAGE_PATH }, name) => [{ path, name }],
    storagePath: ({ path }) => path,
    open: async (destination, context) => (await load()).openStorage(destination, context),
  },
  "docker": {
    holdsSeveral: true,
    holdsLists: true,
    holdsSignatures: true,
    convertsConfigs: false,
    isElsewhere: true,
    fills: () => [],
    storagePath: () => undefined,
    open: async (destination, context) => (await load()).openRegistry(destination, context),
  },
  "docker-daemon": {
    holdsSeveral: true,
    holdsLists: false,
    holdsSignatures: false,
    convertsConfigs: false,
    isElsewhere: true,
    fills: () => [],
    storagePath: () => undefined,
    open: async (destination, context) => (await load()).openDaemon(destination, context),
  },
  "dir": {
    ...file,
    holdsSignatures: true,
    open: async (destination, context) => (await load()).openFile(destination, context, false),
  },
  "oci": {
    ...file,
    holdsLists: true,
    convertsConfigs: true,
    fills: ({ path }, name) => [{ path, name }],
  },
  "oci-archive": {
    ...file,
    holdsLists: true,
    convertsConfigs: true,
    open: async (destination, context) => (await load()).openOciArchive(destination, context),
  },
  "docker-archive": {
    ...file,
    open: async (destination, context) => ({
      ...await (await load()).openFile(destination, context),
      needsPlainLayers: true,
    }),
  },
};

/**
 * Finds the kind of a destination.
 *
 * @param destination The destination.
 * @returns What is asked of it.
 */
export function destinationKind(destination: Destination): DestinationKind {
  return KINDS[destination.type];
}
