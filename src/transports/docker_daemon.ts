import { resolve } from "@std/path";
import * as v from "valibot";
import {
  type DaemonImage,
  formatReference,
  parseReference,
  type Reference,
} from "../../config/mod.ts";
import { DaemonHost } from "../../config/schema_parts.ts";
import { RecordedReference } from "./recorded.ts";
import { defineTransport, type Place } from "./transport.ts";

/** Where a docker daemon has an image. */
export interface DaemonLocation {
  /** The transport. */
  readonly transport: "docker-daemon";
  /** Which image it is. */
  readonly reference: Reference;
  /** Where the daemon listens; docker's own socket if absent. */
  readonly daemonHost?: string;
  /** Whether its certificate is checked, where it has one. */
  readonly tlsVerify: boolean;
  /** Folder with the CA and the client's certificate. */
  readonly certDir?: string;
}

/** Docker daemons, and what speaks as one. */
export const dockerDaemon = defineTransport<DaemonImage, DaemonLocation>({
  advice: "see whether the docker daemon runs, daemonHost is right, and `docker images` lists it",
  builder: () => ({ name: "dockerDaemon", first: "reference" }),
  read({ type, reference: own, tlsVerify = true, daemonHost, certDir }, { reference }) {
    const wanted = own ? parseReference(own) : reference;
    return wanted && {
      ...{ transport: type, reference: wanted, tlsVerify },
      ...(daemonHost && { daemonHost }),
      ...(certDir && { certDir }),
    };
  },
  format: ({ transport, reference }) => `${transport}:${formatReference(reference)}`,
  meaning: ({ transport, reference, daemonHost }) => ({ transport, reference, daemonHost }),
  access: ({ tlsVerify }) => ({ tlsVerify }),
  absolute: ({ certDir, ...location }, root) => ({
    ...location,
    ...(certDir && { certDir: resolve(root, certDir) }),
  }),
  recorded: v.strictObject({
    transport: v.literal("docker-daemon"),
    reference: RecordedReference,
    daemonHost: v.exactOptional(DaemonHost),
    tlsVerify: v.boolean(),
  }),
  server: ({ transport, daemonHost }) => daemonHost ?? transport,
  isRemote,
  open(location) {
    const { domain, path, tag, digest } = location.reference;
    // It keeps no manifests: what it is asked for by digest it knows by name only.
    const wanted = tag ? { domain, path, tag } : { domain, path, ...(digest && { digest }) };
    return Promise.resolve(openImage(location, formatReference(wanted)));
  },
  openById: (location, id) => Promise.resolve(openImage(location, id)),
});

/** A socket is a file of this machine. */
function isRemote({ daemonHost = "unix:" }: DaemonLocation): boolean {
  return !daemonHost.startsWith("unix:");
}

function openImage(location: DaemonLocation, name: string): Place {
  const { transport, reference, ...how } = location;
  return {
    ...{ transport, reference, how, isRemote: isRemote(location), keepsManifest: true },
    label: `${transport}:${name}`,
    image: { skopeo: { transport, name } },
    byDigest: () => undefined,
    plain: (words) => words,
  };
}
