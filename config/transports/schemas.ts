/**
 * The schemas of images by transport.
 *
 * @module
 */

import type * as v from "valibot";
import { closed, described, Reference } from "../schema_parts.ts";
import { tagsEntries } from "../tags.ts";
import { archiveEntries } from "./archive.ts";
import { storageEntries } from "./containers_storage.ts";
import { dirEntries } from "./dir.ts";
import { dockerEntries, referrerEntries } from "./docker.ts";
import { daemonImageEntries } from "./docker_daemon.ts";

/** What a fallback may be. */
export const fallbackSchemas = [
  closed(dockerEntries),
  closed(storageEntries),
  closed(daemonImageEntries),
  closed(dirEntries),
  closed(archiveEntries),
] as const;

/** A fallback may be without one, and looks for its source's then. */
const reference = described(Reference, "Any reference that docker takes");

/**
 * What a source may be.
 *
 * @param common What every source takes.
 * @returns The schema of each.
 */
export function sourceSchemas<const Common extends v.ObjectEntries>(common: Common) {
  return [
    closed({ ...dockerEntries, ...referrerEntries, ...tagsEntries, ...common }),
    closed({ ...storageEntries, reference, ...common }),
    closed({ ...daemonImageEntries, reference, ...common }),
    closed({ ...dirEntries, ...common }),
    closed({ ...archiveEntries, ...common }),
  ] as const;
}
