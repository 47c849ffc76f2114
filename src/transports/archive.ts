import { resolve } from "@std/path";
import * as v from "valibot";
import type { ArchiveImage } from "../../config/mod.ts";
import { openFile } from "./file.ts";
import { linkTo } from "./link.ts";
import { RecordedPath } from "./recorded.ts";
import { defineTransport } from "./transport.ts";

/** Where an OCI layout or an archive is. */
export interface ArchiveLocation {
  /** The transport. */
  readonly transport: ArchiveImage["type"];
  /** The file or folder, absolute or relative to the config. */
  readonly path: string;
  /** Which image of it is meant, where there are several. */
  readonly image?: string;
}

const BUILDERS: Readonly<Record<ArchiveImage["type"], string>> = {
  "oci": "fromOci",
  "oci-archive": "fromOciArchive",
  "docker-archive": "fromDockerArchive",
};

/** OCI layouts, OCI archives and docker archives: they differ for skopeo only. */
export const archive = defineTransport<ArchiveImage, ArchiveLocation>({
  builder: ({ type }) => ({ name: BUILDERS[type], first: "path" }),
  read: ({ type, path, image }) => ({ transport: type, path, ...(image && { image }) }),
  format,
  absolute: (location, root) => ({ ...location, path: resolve(root, location.path) }),
  recorded: v.strictObject({
    transport: v.picklist(["oci", "oci-archive", "docker-archive"]),
    path: RecordedPath,
    image: v.exactOptional(v.pipe(v.string(), v.nonEmpty())),
  }),
  async open(location, { scratch }) {
    const { transport, path, image: name } = location;
    // skopeo takes the path apart at colons.
    const link = await linkTo(path, scratch);
    const image = { transport, path: link, ...(name && { name }) };
    return openFile(format(location), image, (words) => words.replaceAll(link, path));
  },
});

function format({ transport, path, image }: ArchiveLocation): string {
  return `${transport}:${path}${image ? `:${image}` : ""}`;
}
