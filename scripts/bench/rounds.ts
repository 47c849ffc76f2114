import { measureMemory, measureWall, type Memory, type Program } from "./measure.ts";

/** What is measured: a program, or a function of this process. */
export interface Contender {
  /** What it is called in the table. */
  readonly name: string;
  /** What is run. */
  readonly run: Program | (() => unknown);
  /** Puts things back as they have to be before each run; its time does not count. */
  before?(): Promise<void>;
}

/** Contenders that do the same, the peer first. */
export interface Group {
  /** What they do. */
  readonly title: string;
  /** Who does it; ratios are to the first. */
  readonly contenders: readonly Contender[];
}

/** Least, middle and most. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** What was measured of a contender. */
export interface Figures {
  /** What it is called in the table. */
  readonly name: string;
  /** In milliseconds. */
  readonly wall: Spread;
  /** Its minimum to the peer's minimum, its median to the peer's median. */
  readonly ratio: Pick<Spread, "min" | "median">;
  /** Absent for a function of this process. */
  readonly memory?: Memory;
}

/**
 * Measures contenders by turns: a round for memory, which warms caches as well, then as many for
 * the clock as are asked for.
 *
 * @param contenders The contenders, the peer first.
 * @param rounds How often each is timed.
 * @returns What was measured of each, in their order.
 */
export async function measureGroup(
  contenders: readonly Contender[],
  rounds: number,
): Promise<Figures[]> {
  const runs = contenders.map((contender) => ({ contender, times: [] as number[] }));
  const memories: (Memory | undefined)[] = [];
  for (const { run, before } of contenders) {
    await before?.();
    memories.push(typeof run === "function" ? undefined : await measureMemory(run));
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender: { run, before }, times } of runs) {
      await before?.();
      times.push(typeof run === "function" ? await measureCall(run) : await measureWall(run));
    }
  }
  const spreads = runs.map(({ times }) => spread(times));
  const [peer] = spreads;
  return spreads.map((wall, index): Figures => {
    const memory = memories[index];
    return {
      name: contenders[index]?.name ?? "",
      wall,
      ratio: { min: wall.min / (peer?.min ?? 1), median: wall.median / (peer?.median ?? 1) },
      ...(memory && { memory }),
    };
  });
}

async function measureCall(call: () => unknown): Promise<number> {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

function spread(times: readonly number[]): Spread {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? NaN;
  const half = (sorted.length - 1) / 2;
  return {
    min: at(0),
    median: (at(Math.floor(half)) + at(Math.ceil(half))) / 2,
    max: at(sorted.length - 1),
  };
}
