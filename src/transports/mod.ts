/**
 * The transports: each has its options and schema in `config/transports/`, its file here, its
 * location in the list of [locations](location.ts), and a line in the map.
 *
 * @module
 */

import * as v from "valibot";
import type { Fallback } from "../../config/mod.ts";
import type { RecordedPlace } from "../store/origin.ts";
import { archive } from "./archive.ts";
import { containersStorage } from "./containers_storage.ts";
import { dir } from "./dir.ts";
import { docker } from "./docker/mod.ts";
import { dockerDaemon } from "./docker_daemon.ts";
import type { Location } from "./location.ts";
import type { Builder, Reach, Surroundings, Transport } from "./transport.ts";

export type * from "./location.ts";
export type { Place, PlaceImage, PlaceOptions, Reach } from "./transport.ts";

/** Those of a union whose key may be a name. */
type Of<Union, Key extends string, Name> = Union extends { readonly [K in Key]: infer Names }
  ? Name extends Names ? Union : never
  : never;

const TRANSPORTS: {
  readonly [Name in Location["transport"]]: Transport<
    Of<Fallback, "type", Name>,
    Of<Location, "transport", Name>
  >;
} = {
  "docker": docker,
  "containers-storage": containersStorage,
  "docker-daemon": dockerDaemon,
  "dir": dir,
  "oci": archive,
  "oci-archive": archive,
  "docker-archive": archive,
};

/**
 * Finds the transport of a location.
 *
 * @param location The location.
 * @returns What is asked of it.
 */
export function transportOf({ transport }: Location): Transport<Fallback, Location> {
  return TRANSPORTS[transport];
}

/**
 * Finds the builder that makes a source in a config.
 *
 * @param source The source.
 * @returns Its name, and what it takes before its options.
 */
export function builderOf(source: Fallback): Builder {
  const transport: Transport<Fallback, Location> = TRANSPORTS[source.type];
  return transport.builder(source);
}

/**
 * Reads the values of a source or of one of its fallbacks, whose shape is right.
 *
 * @param image The source or the fallback.
 * @param around What an image without a reference of its own is looked for by, and how registries
 * are reached.
 * @returns Where the image is; `undefined` if there is no reference to look for.
 * @throws {InvalidValueError} If a value cannot be read, which the schema rules out.
 */
export function readLocation(image: Fallback, around: Surroundings = {}): Location | undefined {
  const transport: Transport<Fallback, Location> = TRANSPORTS[image.type];
  return transport.read(image, around);
}

/**
 * What the store records of a location: structured, so that nothing has to be read out of text.
 *
 * @param location The location.
 * @param root Folder that its relative paths start from.
 * @returns What decides which image it is, with its paths absolute, and how it is reached.
 */
export function recordPlace(location: Location, root: string): Required<RecordedPlace> {
  const transport = transportOf(location);
  const absolute = transport.absolute(location, root);
  return { place: transport.meaning(absolute), access: transport.access(absolute) };
}

/**
 * Reads what {@linkcode recordPlace} has made.
 *
 * @param recorded What the store has; nobody vouches for it.
 * @param reach Says how registries are reached.
 * @returns The location; `undefined` where it is none that this version knows.
 */
export function readPlace({ place, access }: RecordedPlace, reach: Reach): Location | undefined {
  const found = Object.entries(TRANSPORTS).find(([name]) => name === place?.transport);
  const schema: v.GenericSchema<unknown, Location> | undefined = found?.[1].recorded;
  const read = schema && v.safeParse(schema, { ...access, ...place });
  return read?.success ? transportOf(read.output).reachedBy(read.output, reach) : undefined;
}

/**
 * Writes a location as containers-transports(5) has it, without what it needs to be reached.
 *
 * @param location The location.
 * @returns Text such as `docker://docker.io/library/nginx:latest`.
 */
export function formatLocation(location: Location): string {
  return transportOf(location).format(location);
}
