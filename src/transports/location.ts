import type { ArchiveLocation } from "./archive.ts";
import type { StoredLocation } from "./containers_storage.ts";
import type { DirLocation } from "./dir.ts";
import type { DockerLocation } from "./docker/mod.ts";
import type { DaemonLocation } from "./docker_daemon.ts";

export type { ArchiveLocation, DaemonLocation, DirLocation, DockerLocation, StoredLocation };

/** Where an image may be, with every value read. */
export type Location =
  | DockerLocation
  | StoredLocation
  | DaemonLocation
  | DirLocation
  | ArchiveLocation;
