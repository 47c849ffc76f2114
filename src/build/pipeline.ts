import type { Node, StageNode } from "../graph/node.ts";
import { stageKind } from "../stages/mod.ts";

/** Names of stages whose trees are wanted in any case; `"all"` keeps every tree. */
export type Kept = readonly string[] | "all";

/** Stages that follow each other on one tree; only the tree of the last one is kept. */
export interface Pipeline {
  /** Key of the last stage. */
  readonly key: string;
  /** Keys of the inputs of all its stages, and of the stage that it continues. */
  readonly needs: readonly string[];
  /** The stages, in order. */
  readonly stages: readonly [StageNode, ...StageNode[]];
  /** Key of the stage, of another pipeline, whose tree it continues. */
  readonly base?: string;
}

/**
 * Joins stages that follow each other on one tree.
 *
 * @param nodes What is built, each node behind those that it needs.
 * @param kept Which trees are wanted in any case.
 * @returns The pipelines, each behind those that it needs. A stage ends a pipeline where more than
 * one stage continues it, where an input reads its tree, or where its tree is wanted.
 */
export function joinStages(nodes: readonly Node[], kept: Kept): Pipeline[] {
  const stages = nodes.filter((node): node is StageNode => node.kind === "stage");
  const nextOf = Map.groupBy(stages, (stage) => stage.on);
  const read = new Set(nodes.filter((node) => node.kind === "input").flatMap(({ needs }) => needs));
  const isLast = ({ key, name, stage }: StageNode): boolean =>
    kept === "all" || kept.includes(name) || read.has(key) || nextOf.get(key)?.length !== 1 ||
    stageKind(stage).into(stage) !== undefined;
  const byKey = new Map(stages.map((stage) => [stage.key, stage]));
  return stages.filter(isLast).map((last) => {
    const chain: [StageNode, ...StageNode[]] = [last];
    for (let on = last.on; on !== undefined;) {
      const before = byKey.get(on);
      if (!before || isLast(before)) break;
      chain.unshift(before);
      on = before.on;
    }
    const base = chain[0]?.on;
    return {
      key: last.key,
      needs: [...new Set([...chain.flatMap(({ inputs }) => inputs), ...(base ? [base] : [])])],
      stages: chain,
      ...(base !== undefined && { base }),
    };
  });
}
