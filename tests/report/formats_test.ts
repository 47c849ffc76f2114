import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { formatReport, REPORT_FORMATS } from "@stowage/stowage";
import { ReportSchema } from "../../src/report/report.ts";
import { digest, exampleReport, HOSTILE } from "./example.ts";

const report = exampleReport();

describe("formatReport()", () => {
  for (const format of REPORT_FORMATS) {
    it(`writes ${format} that ends with a line, also of nothing`, async () => {
      const { run: _run, verification: _verified, ...rest } = report;
      const nothing = { ...rest, nodes: [], images: [], absent: [], layers: [] };
      for (const each of [report, { ...nothing, others: 0, size: 0 }]) {
        assertMatch(await formatReport(each, format), /[^\n]\n$/);
      }
    });
  }

  it("writes JSON that says all, as its schema has it", async () => {
    const json = JSON.parse(await formatReport(report, "json"));
    assertEquals(json, report);
    assertEquals(v.parse(ReportSchema, json), report);
    assert(!v.is(ReportSchema, { ...json, more: 1 }));
  });
});

describe("a report as HTML", () => {
  it("has what others have said as text, and nothing to load or to run", async () => {
    const page = await formatReport(report, "html");
    const markup = page.replace(/<style>[^<]*<\/style>/, "");
    assert(!/<(script|img|iframe|object|embed|form|a)\b/i.test(page), page);
    assert(!/\son\w+=|javascript:/i.test(page), page);
    assert(!/(src|href)="(?!data:,")/.test(markup), markup);
    assert(!page.includes("\x1b"));
    const shown = page.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
    assertStringIncludes(shown, HOSTILE.replace("\x1b[31m", ""));
    assertStringIncludes(page, "default-src &#39;none&#39;");
  });

  it("has each digest as a whole, for print and for who asks", async () => {
    const page = await formatReport(report, "html");
    for (const digit of ["1", "2", "4", "5", "a"]) {
      assertStringIncludes(page, `title="${digest(digit)}"`);
      assertStringIncludes(page, `<span class="full">${digest(digit)}</span>`);
    }
  });

  it("says whether it was verified", async () => {
    const { verification, ...rest } = report;
    assertStringIncludes(await formatReport(rest, "html"), "Not verified in this report");
    assert(verification);
    const fine = { ...report, verification: { ...verification, findings: [] } };
    assertStringIncludes(await formatReport(fine, "html"), "No problems found:");
    assertStringIncludes(await formatReport(report, "html"), "1 problem:");
  });
});

describe("a report as Markdown", () => {
  it("has tables whose cells are as many as their heads, whatever others have said", async () => {
    const text = await formatReport(report, "md");
    const tables = text.trimEnd().split("\n\n").filter((part) => part.startsWith("| "));
    assertEquals(tables.length, 3);
    for (const table of tables) {
      const counts = table.split("\n").map((row) => row.match(/(?<!\\)\|/g)?.length);
      assertEquals(new Set(counts).size, 1, table);
    }
    assert(!text.includes("\x1b"));
    assertStringIncludes(text, "`` </style>"); // in more backticks than it has
    assertStringIncludes(text, digest("2"));
    assertStringIncludes(text, "**not accepted**");
  });
});

/** What SPDX 2.3 wants of every document: https://spdx.github.io/spdx-spec/v2.3/ */
const Spdx = v.strictObject({
  spdxVersion: v.literal("SPDX-2.3"),
  dataLicense: v.literal("CC0-1.0"),
  SPDXID: v.literal("SPDXRef-DOCUMENT"),
  name: v.string(),
  documentNamespace: v.pipe(v.string(), v.url(), v.excludes("#")),
  creationInfo: v.strictObject({
    created: v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)),
    creators: v.pipe(v.array(v.pipe(v.string(), v.regex(/^Tool: \S+$/))), v.minLength(1)),
  }),
  packages: v.array(v.strictObject({
    SPDXID: v.pipe(v.string(), v.regex(/^SPDXRef-[A-Za-z0-9.-]+$/)),
    name: v.string(),
    versionInfo: v.exactOptional(v.string()),
    downloadLocation: v.literal("NOASSERTION"),
    filesAnalyzed: v.literal(false),
    licenseConcluded: v.literal("NOASSERTION"),
    licenseDeclared: v.literal("NOASSERTION"),
    copyrightText: v.literal("NOASSERTION"),
    primaryPackagePurpose: v.exactOptional(v.literal("CONTAINER")),
    comment: v.exactOptional(v.string()),
    checksums: v.array(v.strictObject({
      algorithm: v.literal("SHA256"),
      checksumValue: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    })),
    externalRefs: v.exactOptional(v.array(v.strictObject({
      referenceCategory: v.literal("PACKAGE-MANAGER"),
      referenceType: v.literal("purl"),
      referenceLocator: v.string(),
    }))),
  })),
  relationships: v.array(v.strictObject({
    spdxElementId: v.string(),
    relationshipType: v.picklist(["DESCRIBES", "CONTAINS"]),
    relatedSpdxElement: v.string(),
  })),
});

describe("a report as SPDX", () => {
  it("has a package for each image and layer, and what contains what", async () => {
    const spdx = v.parse(Spdx, JSON.parse(await formatReport(report, "spdx")));
    const { packages, relationships } = spdx;
    assertEquals(packages.length, 5);
    const ids = new Set([spdx.SPDXID, ...packages.map(({ SPDXID }) => SPDXID)]);
    assertEquals(ids.size, 6, "each has an id of its own");
    for (const { spdxElementId, relatedSpdxElement } of relationships) {
      assert(ids.has(spdxElementId) && ids.has(relatedSpdxElement));
    }
    const count = (type: string) =>
      relationships.filter(({ relationshipType }) => relationshipType === type).length;
    assertEquals([count("DESCRIBES"), count("CONTAINS")], [2, 4]);
    const [web, tool] = packages;
    assertEquals(web?.checksums[0]?.checksumValue, "2".repeat(64));
    assertEquals(
      web?.externalRefs?.[0]?.referenceLocator,
      `pkg:oci/web@sha256%3A${
        "2".repeat(64)
      }?arch=amd64&repository_url=quay.io%3A443/acme/web&tag=1.0`,
    );
    assertEquals(tool?.externalRefs, undefined, "a folder has no package URL");
  });

  it("has another namespace for other content", async () => {
    const namespaceOf = async (each: typeof report) =>
      v.parse(Spdx, JSON.parse(await formatReport(each, "spdx"))).documentNamespace;
    const other = { ...report, images: report.images.slice(1) };
    assertEquals(await namespaceOf(report), await namespaceOf(exampleReport()));
    assert(await namespaceOf(report) !== await namespaceOf(other));
  });
});
