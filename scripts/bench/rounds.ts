import { run } from "../../tests/support/mod.ts";
import { measureMemory, measureTimes, type Memory, type Program, type Times } from "./measure.ts";
import type { Figures, GroupReport } from "./report.ts";
import { ratios, rotate, spread } from "./stats.ts";

/** What is measured: a program, or a function of this process. */
export interface Contender {
  /** What it is called in the table. */
  readonly name: string;
  /** What it compares or makes sure of by itself, in a few words. */
  readonly verifies?: string;
  /** What is run. */
  readonly run: Program | (() => unknown);
  /** Puts things back as they have to be before each run; its time does not count. */
  before?(): Promise<void>;
  /**
   * Checks after each run that it really did what it is measured for, and throws if not.
   *
   * @param isThorough Whether to look at every byte; true in one round, which is not timed.
   */
  check?(isThorough: boolean): Promise<void>;
  /** How many bytes it keeps, asked for after each run. */
  disk?(): Promise<number>;
}

/** Contenders that do the same, the peer first. */
export interface Group {
  /** Which one it is. */
  readonly id: string;
  /** What they do. */
  readonly title: string;
  /** Who does it; ratios are to the first. */
  readonly contenders: readonly Contender[];
  /** Whether the chart has it. */
  readonly isCharted?: boolean;
  /** How often each is timed, of the rounds that were asked for; these, unless told. */
  rounds?(asked: number): number;
  /** How many bytes contenders were sent so far. */
  sent?(): Promise<number>;
  /** Unique blobs and manifests of the images, in bytes. */
  readonly whole?: number;
  /** How long it takes at least, by what lies between, in ms. */
  readonly least?: number;
}

/** What a run of a contender took; without times, it was a run for memory. */
interface Run {
  readonly times?: Times;
  readonly memory?: Memory;
  readonly wire?: number;
  readonly disk?: number;
}

/**
 * Measures contenders by turns: a round for memory, which reads into the page cache what all of
 * them read and checks every byte, then as many for the clock as are asked for, in each of which
 * another contender is first.
 *
 * @param group The contenders, the peer first.
 * @param asked How often each is timed.
 * @returns What was measured of each, in their order.
 */
export async function measureGroup(group: Group, asked: number): Promise<GroupReport> {
  const { id, title, isCharted = false, whole, least, contenders } = group;
  const runs = new Map(contenders.map((contender) => [contender, [] as Run[]]));
  const rounds = group.rounds?.(asked) ?? asked;
  for (let round = 0; round <= rounds; round++) {
    for (const contender of rotate(contenders, round)) {
      const run = await measure(contender, group, round === 0);
      runs.get(contender)?.push(run);
    }
  }
  const [peer] = contenders;
  const peerWalls = wallsOf((peer && runs.get(peer)) ?? []);
  const figures = [...runs].map(([{ name, verifies }, runs]) => ({
    ...summarize(name, runs, peerWalls),
    ...(verifies !== undefined && { verifies }),
  }));
  return {
    ...{ id, title, isCharted, figures },
    ...(whole !== undefined && { whole }),
    ...(least !== undefined && { least }),
  };
}

async function measure(contender: Contender, group: Group, isForMemory: boolean): Promise<Run> {
  const { run: what, before, check, disk } = contender;
  await before?.();
  await run("sync", []); // or this run waits for what others wrote
  const sent = await group.sent?.();
  const taken = typeof what === "function"
    ? { times: { wall: await measureCall(what), cpu: NaN } }
    : isForMemory
    ? { memory: await measureMemory(what) }
    : { times: await measureTimes(what) };
  const wire = sent !== undefined && group.sent && { wire: await group.sent() - sent };
  await check?.(isForMemory);
  return { ...taken, ...wire, ...(disk && { disk: await disk() }) };
}

async function measureCall(call: () => unknown): Promise<number> {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

function summarize(name: string, runs: readonly Run[], peerWalls: readonly number[]): Figures {
  const walls = wallsOf(runs);
  const cpus = runs.flatMap(({ times }) => times && !isNaN(times.cpu) ? [times.cpu] : []);
  const wires = runs.flatMap(({ wire }) => wire ?? []);
  const disks = runs.flatMap(({ disk }) => disk ?? []);
  const memory = runs.find(({ memory }) => memory)?.memory;
  return {
    name,
    walls,
    wall: spread(walls),
    ratio: spread(ratios(walls, peerWalls)),
    ...(cpus.length > 0 && { cpu: cpus.reduce((sum, cpu) => sum + cpu, 0) / cpus.length }),
    ...(memory && { memory }),
    ...(wires.length > 0 && { wire: Math.max(...wires) }),
    ...(disks.length > 0 && { disk: Math.max(...disks) }),
  };
}

/** The first round is for memory. */
function wallsOf([_, ...timed]: readonly Run[]): number[] {
  return timed.flatMap(({ times }) => times?.wall ?? []);
}
