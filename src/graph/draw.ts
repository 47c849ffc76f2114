import { unicodeWidth } from "@std/cli/unicode-width";
import { inLine } from "../lib/words.ts";
import type { GraphFormat } from "./formats.ts";
import { describe } from "./label.ts";
import type { Graph, Node } from "./node.ts";

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
      return drawDot(drawnNodes(graph));
    case "svg":
      return await drawSvg(drawnNodes(graph));
  }
}

/** What a picture shows of a node. */
export interface DrawnNode extends Pick<Node, "kind" | "key" | "name" | "needs"> {
  /** What it is, in a line. */
  readonly text: string;
}

/**
 * Says what a picture shows of a graph.
 *
 * @param graph The graph.
 * @returns Its nodes, each behind those that it needs.
 */
export function drawnNodes({ nodes }: Graph): DrawnNode[] {
  return [...nodes.values()].map((node) => {
    const { kind, key, name, needs } = node;
    return { kind, key, name, needs, text: describe(node) };
  });
}

/**
 * Draws nodes as SVG.
 *
 * @param nodes The nodes, each behind those that it needs.
 * @returns The picture, without a final line break.
 */
export async function drawSvg(nodes: readonly DrawnNode[]): Promise<string> {
  const { instance } = await import("@viz-js/viz");
  const viz = await instance();
  return fitText(viz.renderString(drawDot(nodes), { format: "svg" }).trimEnd());
}

/**
 * Holds each text to the width that its box was made for: which font there is, and how wide it is,
 * only the viewer knows.
 */
function fitText(svg: string): string {
  return svg.replace(/<text ([^>]*)>([^<]*)<\/text>/g, (_, attributes: string, text: string) => {
    const cells = unicodeWidth(text.replace(/&#?\w+;/g, "x"));
    const width = (cells * FONT_SIZE * CHAR_WIDTH).toFixed(2);
    const fit = `textLength="${width}" lengthAdjust="spacingAndGlyphs"`;
    return `<text ${attributes} ${fit}>${text}</text>`;
  });
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
  const boxes = {
    source: ["[(", ")]"],
    artifact: ["[(", ")]"],
    tags: ["[(", ")]"],
    input: ["([", "])"],
    stage: ["[", "]"],
  } as const;
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

const FONT_SIZE = 12;
/** Of a character of Courier, as Graphviz knows it, beside the size of the font. */
const CHAR_WIDTH = 0.6;

function drawDot(nodes: readonly DrawnNode[]): string {
  const looks = {
    source: 'shape=cylinder, fillcolor="#dbe9f6"',
    artifact: 'shape=cylinder, fillcolor="#e6e0f3"',
    tags: 'shape=cylinder, style="filled,dashed", fillcolor="#dbe9f6"',
    input: 'shape=box, style="filled,rounded", fillcolor="#fdf0d5"',
    stage: 'shape=box, fillcolor="#e0f2e1"',
  };
  const lines = nodes.flatMap((node) => [
    `  ${quote(node.key)} [${looks[node.kind]}, class=${node.kind}, label=${dotLabel(node)}];`,
    ...node.needs.map((need) => `  ${quote(need)} -> ${quote(node.key)};`),
  ]);
  const font = `fontname="Courier", fontsize=${FONT_SIZE}`;
  const head = [
    "digraph stowage {",
    "  rankdir=LR; nodesep=0.15;",
    `  node [${font}, style=filled, margin="0.25,0.1"];`,
    "  edge [arrowsize=0.7];",
  ];
  return [...head, ...lines, ...inOrder(nodes), "}"].join("\n");
}

/** Keeps the sources one below the other, as the config has them. */
function inOrder(nodes: readonly DrawnNode[]): string[] {
  const sources = nodes.filter(({ key }) => key.startsWith("source/")).map(({ key }) => quote(key));
  if (sources.length < 2) return [];
  return [`  { rank=same; edge [style=invis]; ${sources.join(" -> ")}; }`];
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function dotLabel({ name, text }: DrawnNode): string {
  const lines = [name, text].map((line) =>
    // Graphviz reads `&amp;` as a character.
    inLine(line).replaceAll("&", "&amp;").replace(/["\\]/g, "\\$&")
  );
  return `"${lines.join("\\n")}"`;
}
