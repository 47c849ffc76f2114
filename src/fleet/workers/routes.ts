import type { Pipeline } from "../../build/pipeline.ts";
import type { SourceNode } from "../../graph/node.ts";
import { hashOf } from "../../lib/hash/hash.ts";
import { ABILITIES, type Ability, stageKind } from "../../stages/mod.ts";
import { PROTOCOL } from "./messages.ts";

/** What has a name in a queue beside the jobs. */
export const CHANNEL = { runs: "runs", told: "told", control: "control" } as const;

/**
 * What all names in a queue begin with. Workers of another protocol never see what is sent, and
 * neither do those that would put it into another cache.
 *
 * @param repository The cache.
 * @returns The beginning.
 */
export function prefixFor(repository: string): string {
  return `stowage-${PROTOCOL}-${hashOf(repository).slice(0, 8)}`;
}

/**
 * Which workers a job is for.
 *
 * @param unit What is done.
 * @param platform The platform that stages run on.
 * @returns The name of these jobs.
 */
export function routeOf(unit: SourceNode | Pipeline, platform: string): string {
  if (!("stages" in unit)) return "fetch";
  return stagesRoute(unit.stages.flatMap(({ stage }) => stageKind(stage).ability ?? []), platform);
}

/**
 * The jobs that a worker takes.
 *
 * @param can What it is able to do.
 * @param platform Its platform.
 * @returns The names of these jobs.
 */
export function routesFor(
  can: readonly Ability[],
  platform: string,
): { readonly fetch: string; readonly stages: readonly string[] } {
  const own = ABILITIES.filter((ability) => can.includes(ability));
  const sets = own.reduce<Ability[][]>(
    (sets, ability) => [...sets, ...sets.map((set) => [...set, ability])],
    [[]],
  );
  return { fetch: "fetch", stages: sets.map((set) => stagesRoute(set, platform)) };
}

function stagesRoute(abilities: readonly Ability[], platform: string): string {
  const sorted = ABILITIES.filter((ability) => abilities.includes(ability));
  return ["stage", ...sorted, platform.replaceAll("/", "-")].join("-");
}
