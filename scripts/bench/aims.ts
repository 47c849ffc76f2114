import { columns } from "../../src/cli/columns.ts";
import { type Figures, type GroupReport, isOwn, type Report } from "./report.ts";
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
const FAR = ["fetch-far-40ms", "fetch-far-100ms"];
const MEMORY = ["memory-50mb", "memory-500mb"];
const MEMORY_LIMIT = 150e6;

/** How much more memory may be seen without being the layer's: garbage is collected when it is. */
const NOISE = 0.1;

/** Held against the first contender of a group: what it may take of its time. */
const TO_FIRST: readonly (readonly [group: string, first: string, limit: number])[] = [
  ["fetch-eight", "skopeo copy one by one", 0.35],
  ["fetch-fifty", "skopeo copy one by one", 0.6],
  ["fetch-random", "skopeo copy", 1.05],
  ["fetch-system-lan", "skopeo copy", 1.05],
  ["install-eight", "skopeo copy one by one", 1.2],
  ["archive-gzip", "tar | gzip", 0.7],
  ["archive-zstd", "tar | zstd", 1.2],
];

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
    verdict: (groups: readonly GroupReport[]) => Verdict | undefined,
  ): Aim => {
    const found = ids.flatMap((id) => groups.get(id) ?? []);
    return { aim, ...(found.length < ids.length ? undefined : verdict(found)) };
  };
  const below = (group: string, ms: number) =>
    judge(`${group}: at most ${formatTime(ms)}`, [group], ([found]) => {
      const own = stowageOf(found).wall.median;
      return { figure: formatTime(own), isReached: own <= ms };
    });
  return [
    ...FAR.flatMap((id) => [
      judge(`${id}: at most 0.50× regctl`, [id], ([group]) => toPeer(group, "regctl", 0.5)),
      judge(
        `${id}: at most 1.60× what the link takes`,
        [id],
        ([group]) =>
          group?.least === undefined
            ? undefined
            : atMost(stowageOf(group).wall.median / group.least, 1.6),
      ),
    ]),
    judge(
      "fetch-twenty: at most 1.00× crane",
      ["fetch-twenty"],
      ([group]) => toPeer(group, "crane", 1),
    ),
    judge("fetch-eight: faster than any peer", ["fetch-eight"], ([group]) => {
      const { fastest, wall } = fastestPeer(group);
      const own = stowageOf(group).wall.median;
      return {
        figure: `${formatTime(own)}; ${fastest}: ${formatTime(wall)}`,
        isReached: own < wall,
      };
    }),
    ...TO_FIRST.map(([id, first, limit]) =>
      judge(
        `${id}: at most ${formatRatio(limit)} ${first}`,
        [id],
        ([group]) => atMost(stowageOf(group).ratio.median, limit),
      )
    ),
    ...(["wire", "disk"] as const).flatMap((what) =>
      COLD.map((id) =>
        judge(
          `${id}: bytes on ${what === "wire" ? "the wire" : "disk"} 1.00× unique blobs`,
          [id],
          ([group]) => atMost(ratioToWhole(group, what), 1),
        )
      )
    ),
    judge("carry-eight: at most 1.00× the fastest peer", ["carry-eight"], ([group]) => {
      const { fastest, wall } = fastestPeer(group);
      const { figure, isReached } = atMost(stowageOf(group).wall.median / wall, 1);
      return { figure: `${figure} ${fastest}`, isReached };
    }),
    judge(
      "carry-eight-bytes: bytes sent 1.00× unique blobs",
      ["carry-eight-bytes"],
      ([group]) => atMost(ratioToWhole(group, "wire"), 1),
    ),
    judge(
      "resume: at most 15 % of the bytes after a cut at 90 %",
      ["resume"],
      ([group]) => atMost(ratioToWhole(group, "wire"), 0.15),
    ),
    below("build-out-again", 500),
    below("warm-20", 60),
    below("warm-1000", 500),
    judge("memory: below 150 MB, however large a layer is", MEMORY, (groups) => {
      const memories = groups.map((group) => stowageOf(group).memory ?? { process: NaN, child: 0 });
      const [small = NaN, large = NaN] = memories.map(({ process }) => process);
      const children = Math.max(...memories.map(({ child }) => child));
      return {
        figure: `${formatSize(small)}, ${formatSize(large)}; children ${formatSize(children)}`,
        isReached: Math.max(small, large) < MEMORY_LIMIT && large <= small * (1 + NOISE),
      };
    }),
    ...["memory-hundred", "memory-10gb"].map((id) =>
      judge(`${id}: below 150 MB`, [id], ([group]) => belowLimit(stowageOf(group).memory?.process))
    ),
    judge("graph-10000: below 150 MB", ["graph-10000"], ([group]) => {
      const peaks = group?.figures.flatMap(({ name, memory }) =>
        memory && /^(check|graph), /.test(name) ? memory.process : []
      );
      return belowLimit(Math.max(...peaks ?? []));
    }),
  ];
}

function belowLimit(bytes: number = NaN): Verdict {
  return { figure: formatSize(bytes), isReached: bytes < MEMORY_LIMIT };
}

/** Held against a peer that need not be there. */
function toPeer(
  group: GroupReport | undefined,
  peer: string,
  limit: number,
): Verdict | undefined {
  const found = group?.figures.find(({ name }) => name.startsWith(peer));
  return found && atMost(stowageOf(group).wall.median / found.wall.median, limit);
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
