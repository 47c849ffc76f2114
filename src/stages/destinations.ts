import type { Destination } from "../../config/mod.ts";
import type { OpenDestination } from "./run/open_destination.ts";
import type { StageContext } from "./stage.ts";

/** All that is asked of a kind of destination. */
export interface DestinationKind<D extends Destination = Destination> {
  /** Whether it holds several images, and one by several names. */
  readonly holdsSeveral: boolean;
  /** Whether it holds signatures; skopeo does not leave them out unasked. */
  readonly holdsSignatures: boolean;
  /** Whether it is no part of the tree, so that images go there on each run, by the network. */
  readonly isElsewhere: boolean;
  /** Whether skopeo may write the config of an image anew for it, so that it has another id there. */
  readonly convertsConfigs: boolean;
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
  holdsSignatures: false,
  convertsConfigs: false,
  isElsewhere: false,
  storagePath: () => undefined,
  open: async (destination, context) => (await load()).openFile(destination, context),
} satisfies DestinationKind<Extract<Destination, { readonly path: string }>>;

const KINDS: {
  readonly [Type in Destination["type"]]: DestinationKind<Destination & { readonly type: Type }>;
} = {
  "containers-storage": {
    holdsSeveral: true,
    holdsSignatures: true,
    convertsConfigs: false,
    isElsewhere: false,
    storagePath: ({ path }) => path,
    open: async (destination, context) => (await load()).openStorage(destination, context),
  },
  "docker": {
    holdsSeveral: true,
    holdsSignatures: true,
    convertsConfigs: false,
    isElsewhere: true,
    storagePath: () => undefined,
    open: async (destination, context) => (await load()).openRegistry(destination, context),
  },
  "docker-daemon": {
    holdsSeveral: true,
    holdsSignatures: false,
    convertsConfigs: false,
    isElsewhere: true,
    storagePath: () => undefined,
    open: async (destination, context) => (await load()).openDaemon(destination, context),
  },
  "dir": {
    ...file,
    holdsSignatures: true,
    open: async (destination, context) => (await load()).openFile(destination, context, false),
  },
  "oci": { ...file, convertsConfigs: true },
  "oci-archive": {
    ...file,
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
