import * as v from "valibot";
import type { Same } from "../same.ts";
import { closed, described, Driver, TreePath } from "../schema_parts.ts";
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
    type: described(v.literal("containers-storage"), "The transport"),
    path: v.exactOptional(
      described(TreePath, "Graph root in the tree; /var/lib/containers/storage if absent"),
    ),
    driver: v.exactOptional(described(Driver, "Storage driver; overlay if absent")),
  }),
  closed({
    type: described(v.picklist(["oci", "oci-archive", "dir", "docker-archive"]), "The transport"),
    path: described(TreePath, "The file or folder in the tree"),
  }),
  closed({ type: described(v.literal("docker"), "The transport"), ...registryEntries }),
  closed({ type: described(v.literal("docker-daemon"), "The transport"), ...daemonEntries }),
]);
true satisfies Same<v.InferOutput<typeof DestinationSchema>, Destination>;
