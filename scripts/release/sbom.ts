// deno-lint-ignore-file no-console
/** Prints what a release is made of, as SPDX 2.3 in JSON: sbom.ts; dates are SOURCE_DATE_EPOCH's. */
import * as v from "valibot";
import denoJson from "../../deno.json" with { type: "json" };

const InfoSchema = v.object({
  npmPackages: v.optional(
    v.record(v.string(), v.object({ name: v.string(), version: v.string() })),
    {},
  ),
  packages: v.optional(v.record(v.string(), v.string()), {}),
});

const { stdout } = await new Deno.Command("sh", {
  args: ["scripts/deno", "info", "--json", "src/cli/main.ts"],
}).output();
const info = v.parse(InfoSchema, JSON.parse(new TextDecoder().decode(stdout)));
const parts = [
  {
    name: "deno",
    version: Deno.version.deno,
    purl: `pkg:github/denoland/deno@v${Deno.version.deno}`,
  },
  ...Object.values(info.npmPackages).map(({ name, version }) => ({
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  })),
  ...Object.values(info.packages).map((id) => {
    const [, name = id, version = ""] = /^(.+)@([^@]+)$/.exec(id) ?? [];
    return { name, version, purl: `pkg:jsr/${name.replace("@", "%40")}@${version}` };
  }),
].toSorted((one, other) => one.purl < other.purl ? -1 : 1);
const own = { name: denoJson.name, version: denoJson.version, purl: `pkg:jsr/%40stowage/stowage` };
const idOf = ({ name, version }: { name: string; version: string }) =>
  `SPDXRef-${`${name}-${version}`.replace(/[^A-Za-z0-9.]+/g, "-")}`;
const created = new Date(Number(Deno.env.get("SOURCE_DATE_EPOCH") ?? 0) * 1000).toISOString();
console.log(JSON.stringify(
  {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `stowage-${own.version}`,
    documentNamespace: `https://jsr.io/@stowage/stowage/${own.version}/spdx`,
    creationInfo: { created: created.replace(/\.\d+Z$/, "Z"), creators: ["Tool: stowage-release"] },
    packages: [own, ...parts].map((part) => ({
      SPDXID: idOf(part),
      name: part.name,
      versionInfo: part.version,
      downloadLocation: "NOASSERTION",
      filesAnalyzed: false,
      externalRefs: [{
        referenceCategory: "PACKAGE-MANAGER",
        referenceType: "purl",
        referenceLocator: part.purl,
      }],
    })),
    relationships: [
      {
        spdxElementId: "SPDXRef-DOCUMENT",
        relationshipType: "DESCRIBES",
        relatedSpdxElement: idOf(own),
      },
      ...parts.map((part) => ({
        spdxElementId: idOf(own),
        relationshipType: "CONTAINS",
        relatedSpdxElement: idOf(part),
      })),
    ],
  },
  undefined,
  2,
));
