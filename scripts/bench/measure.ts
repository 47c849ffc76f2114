import { cpuOfChildren, descendants, peakOf, programOf } from "./processes.ts";

/** A program to measure. */
export interface Program {
  /** Path of the program. */
  readonly path: string;
  /** Its arguments. */
  readonly args: readonly string[];
}

/** Peak memory in bytes. */
export interface Memory {
  /** Of the process itself. */
  readonly process: number;
  /** Of the largest process that it started; 0 if none was seen. */
  readonly child: number;
}

/** What a run took, in ms. */
export interface Times {
  /** On the clock. */
  readonly wall: number;
  /** Of the processor, by the program and all that it started. */
  readonly cpu: number;
}

const INTERVAL_MS = 2;

/**
 * Measures how long a program takes.
 *
 * @param program The program.
 * @returns What it took.
 * @throws {Error} If it fails.
 */
export async function measureTimes(program: Program): Promise<Times> {
  const [start, cpu] = [performance.now(), cpuOfChildren()];
  await runProgram(program);
  return { wall: performance.now() - start, cpu: cpuOfChildren() - cpu };
}

/**
 * Measures how much memory a program takes. Looking takes time, so this is no run for the clock.
 *
 * @param program The program.
 * @returns Its peak, and that of the largest process that it started.
 * @throws {Error} If it fails.
 */
export async function measureMemory(program: Program): Promise<Memory> {
  let [process, child] = [0, 0];
  let timer: ReturnType<typeof setInterval> | undefined;
  try {
    await runProgram(program, (root) => {
      timer = setInterval(() => {
        const own = programOf(root);
        process = Math.max(process, peakOf(root));
        for (const pid of descendants(root)) {
          // Before it is another program, a child is its parent's image.
          if (programOf(pid) !== own) child = Math.max(child, peakOf(pid));
        }
      }, INTERVAL_MS);
    });
  } finally {
    clearInterval(timer);
  }
  return { process, child };
}

/**
 * Runs a program to its end.
 *
 * @param program The program.
 * @param onStart Is told its process id.
 * @throws {Error} If it fails, with its standard error.
 */
export async function runProgram(
  { path, args }: Program,
  onStart?: (pid: number) => void,
): Promise<void> {
  const child = new Deno.Command(path, {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  onStart?.(child.pid);
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`"${path} ${args.join(" ")}" ended with ${code}: ${stderr}`);
}
