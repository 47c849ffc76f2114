import { describe } from "./label.ts";
import type { Graph, Node } from "./node.ts";

/** The pictures that a graph has. */
export const GRAPH_FORMATS = ["text", "json", "mermaid", "dot", "svg"] as const;

/** A picture that a graph has. */
export type GraphFormat = (typeof GRAPH_FORMATS)[number];

/**
 * Draws a graph.
 *
 * @param graph The graph.
 * @param format `text` (a line a node), `json`, `mermaid`, `dot` (Graphviz) or `svg`.
 * @returns The picture, as text without a final line break.
 */
export async function draw(graph: Graph, format: GraphFormat): Promise<string> {
  const nodes = [...graph.nodes.values()];
  switch (format) {
    case "text":
      return drawText(nodes);
    case "json":
      return JSON.stringify({ nodes }, undefined, 2);
    case "mermaid":
      return drawMermaid(nodes);
    case "dot":
      return drawDot(nodes);
    case "svg": {
      const { instance } = await import("@viz-js/viz");
      const viz = await instance();
      return viz.renderString(drawDot(nodes), { format: "svg" }).trimEnd();
    }
  }
}

function drawText(nodes: readonly Node[]): string {
  const width = Math.max(0, ...nodes.map(({ key }) => key.length));
  return nodes.map((node) => {
    const needs = node.needs.length > 0 ? `  ← ${node.needs.join(", ")}` : "";
    return `${node.key.padEnd(width)}  ${describe(node)}${needs}`;
  }).join("\n");
}

function drawMermaid(nodes: readonly Node[]): string {
  const handles = new Map(nodes.map(({ key }, index) => [key, `n${index}`]));
  const boxes = { source: ["[(", ")]"], input: ["([", "])"], stage: ["[", "]"] } as const;
  const lines = nodes.flatMap((node) => {
    const [open, close] = boxes[node.kind];
    const text = [node.name, describe(node)].map(escapeMermaid).join("<br>");
    return [
      `  ${handles.get(node.key)}${open}"${text}"${close}`,
      ...node.needs.map((need) => `  ${handles.get(need)} --> ${handles.get(node.key)}`),
    ];
  });
  return ["flowchart LR", ...lines].join("\n");
}

/** Mermaid reads labels as HTML, and `#35;` as a character. */
function escapeMermaid(text: string): string {
  return text.replace(/[#&<>"`\\]/g, (char) => `#${char.charCodeAt(0)};`);
}

function drawDot(nodes: readonly Node[]): string {
  const looks = {
    source: 'shape=cylinder, fillcolor="#dbe9f6"',
    input: 'shape=oval, fillcolor="#fdf0d5"',
    stage: 'shape=box, fillcolor="#e0f2e1"',
  };
  const lines = nodes.flatMap((node) => [
    `  ${JSON.stringify(node.key)} [${looks[node.kind]}, label=${dotLabel(node)}];`,
    ...node.needs.map((need) => `  ${JSON.stringify(need)} -> ${JSON.stringify(node.key)};`),
  ]);
  const font = 'fontname="Helvetica,Arial,sans-serif", style=filled, margin="0.25,0.1"';
  const head = ["digraph stowage {", "  rankdir=LR;", `  node [${font}];`];
  return [...head, ...lines, "}"].join("\n");
}

function dotLabel(node: Node): string {
  const lines = [node.name, describe(node)].map((line) =>
    // Graphviz reads `&amp;` as a character.
    line.replaceAll("&", "&amp;").replace(/["\\]/g, "\\$&")
  );
  return `"${lines.join("\\n")}"`;
}
