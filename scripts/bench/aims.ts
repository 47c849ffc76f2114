import { columns } from "../../src/cli/columns.ts";
import { type Figures, type GroupReport, isOwn, type Report } from "./report.ts";
import { EMPTY_MODULE } from "./programs.ts";
import { formatRatio, formatSize, formatTime } from "./units.ts";

/** What is aimed at, and what a run says of it. */
export interface Aim {
  readonly aim: string;
  /** What was measured; absent if it was not. */
  readonly figure?: string;
  readonly isReached?: boolean;
}

type Verdict = Required<Omit<Aim, "aim">>;

const COLD = ["fetch-random", "fetch-system", "fetch-eight", "fetch-fifty"];
const MEMORY = ["memory-50mb", "memory-500mb"];
const MEMORY_LIMIT = 150e6;

/** How much more memory may be seen without being the layer's: garbage is collected when it is. */
const NOISE = 0.1;

/**
 * Holds a run against what is aimed at. Medians count.
 *
 * @param report What was measured.
 * @returns Each aim, reached or not.
 */
export function aimsOf(report: Report): Aim[] {
  const groups = new Map(report.groups.map((group) => [group.id, group]));
  const judge = (
    aim: string,
    ids: readonly string[],
    verdict: (groups: readonly GroupReport[]) => Verdict,
  ): Aim => {
    const found = ids.flatMap((id) => groups.get(id) ?? []);
    return found.length < ids.length ? { aim } : { aim, ...verdict(found) };
  };
  return [
    ...(["wire", "disk"] as const).flatMap((what) =>
      COLD.map((id) =>
        judge(`${id}: bytes on ${what === "wire" ? "the wire" : "disk"} 1.00× unique blobs`, [
          id,
        ], ([group]) => atMost(ratioToWhole(group, what), 1))
      )
    ),
    judge(
      "fetch-eight: at most 0.35× skopeo copy one by one",
      ["fetch-eight"],
      ([group]) => atMost(stowageOf(group).ratio.median, 0.35),
    ),
    judge("fetch-eight: faster than any peer", ["fetch-eight"], ([group]) => {
      const { fastest, wall } = fastestPeer(group);
      const own = stowageOf(group).wall.median;
      return {
        figure: `${formatTime(own)}; ${fastest}: ${formatTime(wall)}`,
        isReached: own < wall,
      };
    }),
    ...COLD.slice(0, 2).map((id) =>
      judge(
        `${id}: at most 1.05× skopeo copy`,
        [id],
        ([group]) => atMost(stowageOf(group).ratio.median, 1.05),
      )
    ),
    judge(
      "resume: at most 15 % of the bytes after a cut at 90 %",
      ["resume"],
      ([group]) => atMost(ratioToWhole(group, "wire"), 0.15),
    ),
    judge("warm-20: below 150 ms, most of it the runtime's start", ["warm-20"], ([group]) => {
      const own = stowageOf(group).wall.median;
      const empty = figuresOf(group, ({ name }) => name === EMPTY_MODULE).wall.median;
      return {
        figure: `${formatTime(own)}; ${EMPTY_MODULE}: ${formatTime(empty)}`,
        isReached: own < 150 && empty > own / 2,
      };
    }),
    judge("warm-1000: below 500 ms", ["warm-1000"], ([group]) => {
      const own = stowageOf(group).wall.median;
      return { figure: formatTime(own), isReached: own < 500 };
    }),
    judge("memory: below 150 MB, however large a layer is", MEMORY, (groups) => {
      const memories = groups.map((group) => stowageOf(group).memory ?? { process: NaN, child: 0 });
      const [small = NaN, large = NaN] = memories.map(({ process }) => process);
      const children = Math.max(...memories.map(({ child }) => child));
      return {
        figure: `${formatSize(small)}, ${formatSize(large)}; children ${formatSize(children)}`,
        isReached: Math.max(small, large) < MEMORY_LIMIT && large <= small * (1 + NOISE),
      };
    }),
  ];
}

/**
 * Writes aims as a table.
 *
 * @param aims The aims.
 * @returns A line an aim, without a final line break.
 */
export function formatAims(aims: readonly Aim[]): string {
  const rows = aims.map(({ aim, figure = "not measured", isReached }) => [
    isReached === undefined ? "?" : isReached ? "yes" : "NO",
    aim,
    figure,
  ]);
  return columns([["", "aim", "figure"], ...rows]);
}

/** As it is written: 1.004 is 1.00. */
function atMost(ratio: number, limit: number): Verdict {
  return { figure: formatRatio(ratio), isReached: Number(ratio.toFixed(2)) <= limit };
}

function stowageOf(group: GroupReport | undefined): Figures {
  return figuresOf(group, isOwn);
}

function figuresOf(
  group: GroupReport | undefined,
  isIt: (figures: Figures) => boolean,
): Figures {
  const found = group?.figures.find(isIt);
  if (!found) throw new Error(`"${group?.id}" has no such contender`);
  return found;
}

function ratioToWhole(group: GroupReport | undefined, what: "wire" | "disk"): number {
  return (stowageOf(group)[what] ?? NaN) / (group?.whole ?? NaN);
}

function fastestPeer(group: GroupReport | undefined): { fastest: string; wall: number } {
  const peers = group?.figures.filter((figures) => !isOwn(figures)) ?? [];
  const [first] = peers.toSorted((a, b) => a.wall.median - b.wall.median);
  return { fastest: first?.name ?? "", wall: first?.wall.median ?? NaN };
}
