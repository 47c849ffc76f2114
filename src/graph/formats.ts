/** The pictures that a graph has. */
export const GRAPH_FORMATS = ["text", "json", "mermaid", "dot", "svg"] as const;

/** A picture that a graph has. */
export type GraphFormat = (typeof GRAPH_FORMATS)[number];
