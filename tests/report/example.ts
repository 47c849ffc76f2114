import type { Report } from "@stowage/stowage";

/** A digest of one hex digit. */
export const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;

/** Words that HTML, Markdown and terminals could take for their own. */
export const HOSTILE =
  `</style></code><script>alert(1)</script><img src="http://127.0.0.1:1/x">|\`*_\x1b[31m`;

/** A report with two images that share a layer, and others' words everywhere. */
export function exampleReport(words: string = HOSTILE): Report {
  const time = (second: number) => `2026-01-02T03:04:${String(second).padStart(2, "0")}.000Z`;
  const image = {
    platform: "linux/amd64",
    complete: true,
    signatures: ["gpg", "sigstore"] as const,
    trust: [{
      ...{ source: words, accepted: true, where: words },
      asks: [{ type: "signedBy", keys: [words] }],
    }],
  };
  return {
    schema: 1,
    generated: time(50),
    stowage: "1.2.3",
    store: `/srv/${words}`,
    nodes: [
      { kind: "source", key: "source/web", name: "web", needs: [], text: words },
      { kind: "source", key: "source/tool", name: "tool", needs: [], text: words },
      { kind: "stage", key: "stage/os", name: "os", needs: ["source/web"], text: words },
    ],
    images: [
      {
        ...image,
        ...{ id: digest("1"), digest: digest("2"), index: digest("3"), names: ["web"] },
        ...{
          reference: "docker://quay.io:443/acme/web:1.0",
          from: "docker://quay.io:443/acme/web:1.0",
        },
        ...{ fetched: time(40), created: "2025-12-01T00:00:00Z", size: 5_000_000, own: 2_000_000 },
        layers: [digest("a"), digest("b")],
      },
      {
        ...image,
        ...{ id: digest("4"), digest: digest("5"), names: ["tool"] },
        ...{ reference: `dir:/${words}`, from: `dir:/other/${words}` },
        ...{ fetched: time(41), size: 4_000_000, own: 1_000_000 },
        layers: [digest("a"), digest("c")],
        trust: [{ ...image.trust[0]!, accepted: false, problem: words }],
      },
    ],
    absent: [words],
    others: 3,
    layers: [
      { digest: digest("a"), size: 3_000_000, images: [digest("1"), digest("4")] },
      { digest: digest("b"), size: 1_900_000, images: [digest("1")] },
      { digest: digest("c"), size: 900_000, images: [digest("4")] },
    ],
    size: 6_000_000,
    run: {
      ...{ action: "build", start: time(0), end: time(8) },
      steps: [
        {
          key: "source/web",
          name: "web",
          status: "fetched",
          start: time(1),
          end: time(5),
          fetched: 9,
        },
        { key: "source/tool", name: "tool", status: "failed", start: time(1), end: time(2) },
        { key: "stage/os", name: "os", status: "ran", start: time(5), end: time(8) },
      ],
    },
    verification: {
      ...{ images: 2, files: 7, trees: 0, bytes: 8_000_000 },
      findings: [{
        ...{ kind: "layer", problem: "content", message: words, path: words, links: [] },
        ...{ entries: [digest("4")], quarantine: words },
      }],
    },
  };
}
