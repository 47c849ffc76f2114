import * as v from "valibot";

const Spread = v.object({ min: v.number(), median: v.number(), max: v.number() });

const FiguresSchema = v.object({
  /** What the contender is called. */
  name: v.string(),
  /** What it compares or makes sure of by itself, in a few words. */
  verifies: v.optional(v.string()),
  /** Wall time in ms, a number a round, in the order of rounds. */
  walls: v.array(v.number()),
  /** Of these. */
  wall: Spread,
  /** Wall time to that of the peer, of each round. */
  ratio: Spread,
  /** CPU time of all its processes in ms, system's included; the mean of the rounds. */
  cpu: v.optional(v.number()),
  /** Peak memory in bytes, of the process and of the largest that it started. */
  memory: v.optional(v.object({ process: v.number(), child: v.number() })),
  /** Bytes that the registry sent it; the most of all rounds. */
  wire: v.optional(v.number()),
  /** Bytes that it keeps on disk; the most of all rounds. */
  disk: v.optional(v.number()),
});

const GroupSchema = v.object({
  /** Which one it is. */
  id: v.string(),
  /** What its contenders do. */
  title: v.string(),
  /** Whether the chart has it. */
  isCharted: v.boolean(),
  /** Unique blobs and manifests of the images, in bytes: what at least has to be had and kept. */
  whole: v.optional(v.number()),
  /** How long it takes at least, by what lies between, in ms. */
  least: v.optional(v.number()),
  /** The contenders, the peer first. */
  figures: v.array(FiguresSchema),
});

/** The schema of the JSON that a run of the bench writes. */
export const ReportSchema = v.object({
  date: v.string(),
  /** The machine and its tools, in a line. */
  machine: v.string(),
  /** Load of the machine before and after, of the last minute. */
  load: v.tuple([v.number(), v.number()]),
  rounds: v.number(),
  /** What sizes were multiplied with; 1 in runs that count. */
  scale: v.number(),
  groups: v.array(GroupSchema),
});

/** What was measured of a contender. */
export type Figures = Readonly<v.InferOutput<typeof FiguresSchema>>;

/** What was measured of contenders that do the same. */
export type GroupReport = Readonly<v.InferOutput<typeof GroupSchema>>;

/** What a run of the bench has measured. */
export type Report = Readonly<v.InferOutput<typeof ReportSchema>>;

/**
 * Whether a contender is this project's, doing what is measured.
 *
 * @param contender The contender.
 * @returns `false` for peers, and for what only says how long stowage itself takes to start.
 */
export function isOwn({ name }: Pick<Figures, "name">): boolean {
  return /^stowage (?!--)/.test(name);
}
