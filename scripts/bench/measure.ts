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

const INTERVAL_MS = 2;

/**
 * Measures how long a program takes.
 *
 * @param program The program.
 * @returns Wall time in milliseconds.
 * @throws {Error} If it fails.
 */
export async function measureWall(program: Program): Promise<number> {
  const start = performance.now();
  await run(program);
  return performance.now() - start;
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
    await run(program, (root) => {
      timer = setInterval(() => {
        const own = readLink(`/proc/${root}/exe`);
        process = Math.max(process, peakOf(root));
        for (const pid of descendants(root)) {
          // Before it is another program, a child is its parent's image.
          if (readLink(`/proc/${pid}/exe`) !== own) child = Math.max(child, peakOf(pid));
        }
      }, INTERVAL_MS);
    });
  } finally {
    clearInterval(timer);
  }
  return { process, child };
}

async function run({ path, args }: Program, onStart?: (pid: number) => void): Promise<void> {
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

function* descendants(pid: number): Generator<number> {
  for (const task of listDir(`/proc/${pid}/task`)) {
    const children = readFile(`/proc/${pid}/task/${task}/children`).match(/\d+/g) ?? [];
    for (const child of children.map(Number)) {
      yield child;
      yield* descendants(child);
    }
  }
}

function peakOf(pid: number): number {
  return 1024 * Number(/^VmHWM:\s*(\d+) kB/m.exec(readFile(`/proc/${pid}/status`))?.[1] ?? 0);
}

function listDir(path: string): string[] {
  return orElse([], () => [...Deno.readDirSync(path)].map(({ name }) => name));
}

function readFile(path: string): string {
  return orElse("", () => Deno.readTextFileSync(path));
}

function readLink(path: string): string {
  return orElse("", () => Deno.readLinkSync(path));
}

/** Processes end while one looks. */
function orElse<Value>(other: Value, look: () => Value): Value {
  try {
    return look();
  } catch {
    return other;
  }
}
