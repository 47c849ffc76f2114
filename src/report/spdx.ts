import { parseReference } from "../../config/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { Report, ReportImage, ReportLayer } from "./report.ts";
import { nameText } from "./words.ts";

const NONE = "NOASSERTION";
const DOCUMENT = "SPDXRef-DOCUMENT";

/**
 * Writes which images a report has as SPDX 2.3 in JSON: a package for each image and for each layer.
 * What is in the layers is not looked at.
 *
 * @param report The report.
 * @returns The document, as plain data: https://spdx.github.io/spdx-spec/v2.3/
 */
export function formatSpdx(report: Report): object {
  const { images, layers, generated, stowage } = report;
  const packages = [...images.map(imagePackage), ...layers.map(layerPackage)];
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: DOCUMENT,
    name: "container-images",
    // The same for the same content only.
    documentNamespace: `https://spdx.org/spdxdocs/container-images-${
      hashOf([generated, stowage, packages])
    }`,
    creationInfo: {
      created: generated.replace(/\.\d+Z$/, "Z"),
      creators: [`Tool: stowage-${stowage}`],
    },
    packages,
    relationships: images.flatMap((image) => [
      relation(DOCUMENT, "DESCRIBES", imageRef(image)),
      ...image.layers.map((digest) => relation(imageRef(image), "CONTAINS", layerRef({ digest }))),
    ]),
  };
}

function imagePackage(image: ReportImage) {
  const { digest, id } = image;
  const purl = purlOf(image);
  return {
    SPDXID: imageRef(image),
    name: nameText(image),
    ...(digest !== undefined && { versionInfo: digest }),
    ...common,
    primaryPackagePurpose: "CONTAINER",
    ...(digest !== undefined && { checksums: [checksum(digest)] }),
    comment: `Image id: ${id}`,
    ...(purl !== undefined && {
      externalRefs: [{
        referenceCategory: "PACKAGE-MANAGER",
        referenceType: "purl",
        referenceLocator: purl,
      }],
    }),
  };
}

function layerPackage(layer: Pick<ReportLayer, "digest">) {
  return {
    SPDXID: layerRef(layer),
    name: layer.digest,
    ...common,
    checksums: [checksum(layer.digest)],
  };
}

const common = {
  downloadLocation: NONE,
  filesAnalyzed: false,
  licenseConcluded: NONE,
  licenseDeclared: NONE,
  copyrightText: NONE,
};

function relation(from: string, type: string, to: string) {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}

function checksum(digest: string) {
  return { algorithm: "SHA256", checksumValue: hexOf(digest) };
}

function imageRef({ id }: Pick<ReportImage, "id">): string {
  return `SPDXRef-Image-${hexOf(id)}`;
}

function layerRef({ digest }: Pick<ReportLayer, "digest">): string {
  return `SPDXRef-Layer-${hexOf(digest)}`;
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

/**
 * The package URL of an image of a registry: https://github.com/package-url/purl-spec, type `oci`.
 * What a registry serves has one, and nothing else.
 */
function purlOf({ digest, reference, platform }: ReportImage): string | undefined {
  const [, name] = /^docker:\/\/(.+)$/.exec(reference ?? "") ?? [];
  if (digest === undefined || name === undefined) return undefined;
  const { domain, path, tag } = parseReference(name);
  const [, arch] = platform?.split("/") ?? [];
  const qualifiers = [
    ...(arch ? [`arch=${encode(arch)}`] : []),
    `repository_url=${encode(`${domain}/${path}`)}`,
    ...(tag !== undefined ? [`tag=${encode(tag)}`] : []),
  ];
  const [last = ""] = path.split("/").slice(-1);
  return `pkg:oci/${encode(last)}@${encode(digest)}?${qualifiers.join("&")}`;
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll("%2F", "/");
}
