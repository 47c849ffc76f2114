import * as v from "valibot";
import {
  type DockerImage,
  formatReference,
  parseReference,
  type Reference,
} from "../../../config/mod.ts";
import { reachOf } from "../../../config/registries.ts";
import { RecordedReference } from "../recorded.ts";
import { defineTransport, type PlaceImage } from "../transport.ts";
import { withRoot } from "./site.ts";

/** Where a registry has an image. */
export interface DockerLocation {
  /** The transport. */
  readonly transport: "docker";
  /** Which image it is. */
  readonly reference: Reference;
  /** Whether TLS is required and its certificates checked. */
  readonly tlsVerify: boolean;
  /** File with credentials; the machine's own if absent. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates; the machine's own if absent. */
  readonly certDir?: string;
  /** How long it may take to begin to answer, in ms, if it is not asked again then. */
  readonly answersWithin?: number;
}

/** Registries. */
export const docker = defineTransport<DockerImage, DockerLocation>({
  isNamed: true,
  advice: undefined,
  builder: () => ({ name: "docker", first: "reference" }),
  read({ type: transport, reference: text, ...own }, { registries }) {
    const reference = parseReference(text);
    return { transport, reference, ...reachOf(reference, own, registries) };
  },
  format: ({ reference }) => `docker://${formatReference(reference)}`,
  meaning: ({ transport, reference }) => ({ transport, reference }),
  access: ({ tlsVerify }) => ({ tlsVerify }),
  absolute: (location, root) => withRoot(location, root),
  recorded: v.strictObject({
    transport: v.literal("docker"),
    reference: RecordedReference,
    tlsVerify: v.boolean(),
  }),
  reachedBy({ transport, reference, tlsVerify }, reach) {
    return { transport, reference, ...reach(reference, {}, { tlsVerify }) };
  },
  server: ({ reference }) => reference.domain,
  isRemote: () => true,
  byTag({ reference: { digest: _, ...reference }, ...location }) {
    return { ...location, reference };
  },
  reachedAs({ reference }, other) {
    const { domain, path } = other.reference;
    const isSame = domain === reference.domain && path === reference.path;
    return isSame ? { ...other, reference } : undefined;
  },
  open({ transport, reference, ...how }, { digest = reference.digest, digestIsLocked }) {
    const { domain, path, tag } = reference;
    // containers/image refuses a tag beside a digest.
    const wanted = digest ? { domain, path, digest } : { domain, path, ...(tag && { tag }) };
    const imageOf = (name: Reference): PlaceImage => ({
      skopeo: { transport, name },
      inRegistry: name,
    });
    return Promise.resolve({
      ...{ transport, reference, how, digest, digestIsLocked },
      ...{ isNamed: true, isRemote: true, keepsManifest: true },
      label: `docker://${formatReference(wanted)}`,
      image: imageOf(wanted),
      byDigest: (digest) => imageOf({ domain, path, digest }),
      plain: (words) => words,
    });
  },
});
