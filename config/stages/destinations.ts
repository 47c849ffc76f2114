import * as v from "valibot";
import type { Same } from "../same.ts";
import { closed, Driver, TreePath } from "../schema_parts.ts";
import type { Driver as DriverName } from "../storage.ts";
import { registryEntries, type RegistryOptions } from "../transports/docker.ts";
import { daemonEntries, type DaemonOptions } from "../transports/docker_daemon.ts";

/** Images into a container storage, below the tree. */
export interface StorageDestination {
  /** The transport. */
  readonly type: "containers-storage";
  /** Graph root in the tree; `/var/lib/containers/storage` if absent. */
  readonly path?: string;
  /** Storage driver; `overlay` if absent. */
  readonly driver?: DriverName;
}

/** Images into a file or folder, below the tree. */
export interface PathDestination {
  /** The transport. */
  readonly type: "oci" | "oci-archive" | "dir" | "docker-archive";
  /** The file or folder in the tree. */
  readonly path: string;
}

/** Images into the registries that their names say. */
export interface RegistryDestination extends RegistryOptions {
  /** The transport. */
  readonly type: "docker";
}

/** Images into a docker daemon. */
export interface DaemonDestination extends DaemonOptions {
  /** The transport. */
  readonly type: "docker-daemon";
}

/** Where `install` puts images. */
export type Destination =
  | StorageDestination
  | PathDestination
  | RegistryDestination
  | DaemonDestination;

/** The schema of {@linkcode Destination}. */
export const DestinationSchema = v.variant("type", [
  closed({
    type: v.literal("containers-storage"),
    path: v.exactOptional(TreePath),
    driver: v.exactOptional(Driver),
  }),
  closed({ type: v.picklist(["oci", "oci-archive", "dir", "docker-archive"]), path: TreePath }),
  closed({ type: v.literal("docker"), ...registryEntries }),
  closed({ type: v.literal("docker-daemon"), ...daemonEntries }),
]);
true satisfies Same<v.InferOutput<typeof DestinationSchema>, Destination>;
