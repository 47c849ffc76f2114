import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  defineConfig,
  docker,
  draw,
  exec,
  fromDir,
  GRAPH_FORMATS,
  images,
  install,
  output,
  tree,
} from "../../mod.ts";

const graph = compile(defineConfig({
  sources: { proxy: docker("caddy:2", { platform: "armhf" }) },
  inputs: { apps: images({ proxy: "localhost/caddy" }), made: output("pre"), rootfs: tree("root") },
  stages: {
    pre: exec({ command: ["true"], inputs: ["rootfs"] }),
    os: install({
      inputs: ["apps", "made"],
      on: "pre",
      destination: { type: "containers-storage" },
    }),
  },
}));

/** Paths that each format could take for its own. */
const SPECIAL = {
  quotes: `a"b'c`,
  backslash: "a\\nb\\",
  html: "<b>&lt;</b>",
  mermaid: "a#quot;b`c`",
  line: "a\nb\tc",
  unicode: "ä→🚢",
};

const special = compile({
  sources: { image: fromDir(SPECIAL.quotes) },
  inputs: Object.fromEntries(Object.entries(SPECIAL).map(([name, path]) => [name, tree(path)])),
});

describe("draw()", () => {
  it("draws what is pinned with its digest, and with no tag that nobody has named", async () => {
    const [digest, id] = [`sha256:${"a".repeat(64)}`, `sha256:${"b".repeat(64)}`];
    const sources = {
      one: docker("caddy", { digest }),
      two: docker("caddy:2", { digest }),
      three: docker("caddy", { id }),
      four: docker("caddy"),
    };
    const lines = (await draw(compile({ sources }), "text")).split("\n");
    assertEquals(lines.map((line) => line.replace(/^.*library\//, "")), [
      "caddy@sha256:aaaaaaaaaaaa… (linux/amd64)",
      "caddy:2@sha256:aaaaaaaaaaaa… (linux/amd64)",
      "caddy (linux/amd64, id sha256:bbbbbbbbbbbb…)",
      "caddy:latest (linux/amd64)",
    ]);
  });

  it("draws text, a line a node", async () => {
    assertEquals(
      await draw(graph, "text"),
      `
source/proxy  docker://docker.io/library/caddy:2 (linux/arm/v7)
input/apps    images  ← source/proxy
input/rootfs  tree root
stage/pre     exec  ← input/rootfs
input/made    output  ← stage/pre
stage/os      install  ← input/apps, input/made, stage/pre`.slice(1),
    );
  });

  it("draws JSON that has it all", async () => {
    assertEquals(JSON.parse(await draw(graph, "json")), {
      nodes: JSON.parse(JSON.stringify([...graph.nodes.values()])),
    });
  });

  it("draws mermaid", async () => {
    assertEquals(
      await draw(graph, "mermaid"),
      `
flowchart LR
  n0[("proxy<br>docker://docker.io/library/caddy:2 (linux/arm/v7)")]
  n1(["apps<br>images"])
  n0 --> n1
  n2(["rootfs<br>tree root"])
  n3["pre<br>exec"]
  n2 --> n3
  n4(["made<br>output"])
  n3 --> n4
  n5["os<br>install"]
  n1 --> n5
  n4 --> n5
  n3 --> n5`.slice(1),
    );
  });

  it("draws dot", async () => {
    const dot = await draw(graph, "dot");
    assert(dot.startsWith("digraph stowage {\n") && dot.endsWith("\n}"), dot);
    assertStringIncludes(
      dot,
      '"stage/os" [shape=box, fillcolor="#e0f2e1", class=stage, label="os\\ninstall"];',
    );
    for (const need of ["input/apps", "input/made", "stage/pre"]) {
      assertStringIncludes(dot, `"${need}" -> "stage/os";`);
    }
    assertEquals(dot.match(/->/g)?.length, 6);
  });

  it("draws svg with every node and every need", async () => {
    const svg = await draw(graph, "svg");
    assert(/^<(\?xml|svg)/.test(svg), svg);
    assert(svg.endsWith("</svg>"), svg);
    assertEquals(titles(svg, "node"), [...graph.nodes.keys()].sort());
    assertEquals(
      titles(svg, "edge"),
      [...graph.nodes.values()].flatMap(({ key, needs }) => needs.map((need) => `${need}->${key}`))
        .sort(),
    );
    for (const { name } of graph.nodes.values()) assertStringIncludes(svg, `>${name}</text>`);
  });

  it("has the sources one below the other in svg, as the config has them", async () => {
    const names = [..."zyxaqwsmnbdo"];
    const config = {
      sources: Object.fromEntries(names.map((name) => [name, docker(`quay.io/a/${name}:1`)])),
      inputs: {
        odd: images({ b: "localhost/b", z: "localhost/z", o: "localhost/o" }),
        even: images({ a: "localhost/a", w: "localhost/w", y: "localhost/y" }),
      },
    };
    const svg = await draw(compile(config), "svg");
    const tops = names.map((name) => {
      const [, x, y] = new RegExp(`x="([^"]*)" y="([^"]*)"[^>]*>${name}</text>`).exec(svg) ?? [];
      return { x, y: Number(y) };
    });
    assertEquals(new Set(tops.map(({ x }) => x)).size, 1);
    assertEquals(tops.toSorted((a, b) => a.y - b.y), tops);
  });

  it("holds each text of svg to its box, whatever font there is", async () => {
    const wide = "日本語のパス/🚢/".repeat(4);
    const svg = await draw(compile({ inputs: { narrow: tree("iii"), wide: tree(wide) } }), "svg");
    const boxes = [...svg.matchAll(/<g id="node\d+"[\s\S]*?<\/g>/g)].map(([box]) => box);
    assertEquals(boxes.length, 2);
    for (const box of boxes) {
      const path = /<path [^>]* d="([^"]*)"/.exec(box)?.[1] ?? "";
      const xs = [...path.matchAll(/(-?[\d.]+),/g)].map(([, x]) => Number(x));
      const room = Math.max(...xs) - Math.min(...xs);
      const lengths = [...box.matchAll(/textLength="([\d.]+)"/g)].map(([, length]) =>
        Number(length)
      );
      assertEquals(lengths.length, 2);
      for (const length of lengths) assert(length > 10 && length <= room - 20, `${length} ${room}`);
    }
  });

  for (const format of GRAPH_FORMATS) {
    it(`draws ${format} of nothing`, async () => {
      const picture = await draw(compile({}), format);
      assertEquals(picture, picture.trimEnd());
    });
  }
});

/** What the SVG's groups of a class are called. */
function titles(svg: string, kind: "node" | "edge"): string[] {
  const groups = svg.matchAll(
    new RegExp(`class="${kind}(?: \\w+)?">\\s*<title>([^<]*)</title>`, "g"),
  );
  return [...groups].map(([, title = ""]) => unescapeXml(title)).sort();
}

function unescapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"' };
  return text.replace(
    /&(?:#(x[0-9a-f]+|\d+)|(\w+));/gi,
    (whole, code, name) =>
      code === undefined
        ? names[name] ?? whole
        : String.fromCodePoint(Number(code.startsWith("x") ? `0${code}` : code)),
  );
}

describe("draw() of special characters", () => {
  it("keeps a line a node in text", async () => {
    const lines = (await draw(special, "text")).split("\n");
    assertEquals(lines.length, special.nodes.size);
    assertStringIncludes(lines.join("\n"), "input/line       tree a\\nb\\tc");
  });

  it("keeps them as they are in JSON", async () => {
    const { nodes } = JSON.parse(await draw(special, "json"));
    const paths = nodes.flatMap((node: { input?: { path: string } }) => node.input?.path ?? []);
    assertEquals(paths, Object.values(SPECIAL));
  });

  it("escapes them in mermaid", async () => {
    const mermaid = await draw(special, "mermaid");
    for (
      const label of [
        "quotes<br>tree a#34;b'c",
        "backslash<br>tree a#92;nb#92;",
        "html<br>tree #60;b#62;#38;lt;#60;/b#62;",
        "mermaid<br>tree a#35;quot;b#96;c#96;",
        "line<br>tree a#92;nb#92;tc",
        "unicode<br>tree ä→🚢",
      ]
    ) assertStringIncludes(mermaid, `(["${label}"])`);
  });

  it("shows them in svg, and so escapes them in dot", async () => {
    const svg = await draw(special, "svg");
    const shown = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)]
      .map(([, text = ""]) => unescapeXml(text).replaceAll("\u00a0", " "));
    const paths = Object.values({ ...SPECIAL, line: "a\\nb\\tc" }).map((path) => `tree ${path}`);
    assertEquals(
      new Set(shown),
      new Set([...Object.keys(SPECIAL), ...paths, "image", `dir:${SPECIAL.quotes} (linux/amd64)`]),
    );
  });
});
