/**
 * The processes that a process has started, and those that they have.
 *
 * @param pid The process.
 * @returns Their ids, parents first.
 */
export function* descendants(pid: number): Generator<number> {
  for (const task of listDir(`/proc/${pid}/task`)) {
    const children = readFile(`/proc/${pid}/task/${task}/children`).match(/\d+/g) ?? [];
    for (const child of children.map(Number)) {
      yield child;
      yield* descendants(child);
    }
  }
}

/**
 * Which program a process is.
 *
 * @param pid The process.
 * @returns The program's file; empty if the process has ended.
 */
export function programOf(pid: number): string {
  return orElse("", () => Deno.readLinkSync(`/proc/${pid}/exe`));
}

/**
 * The most memory that a process had at a time.
 *
 * @param pid The process.
 * @returns VmHWM in bytes; 0 if it has ended.
 */
export function peakOf(pid: number): number {
  return 1024 * Number(/^VmHWM:\s*(\d+) kB/m.exec(readFile(`/proc/${pid}/status`))?.[1] ?? 0);
}

/**
 * CPU time of all processes that this one has waited for, and that they have waited for.
 *
 * @returns User's and system's time in ms. The kernel tells it in steps of 10.
 */
export function cpuOfChildren(): number {
  const stat = readFile("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return 10 * (Number(fields[13]) + Number(fields[14])); // cutime and cstime, in ticks of USER_HZ
}

/**
 * Kills a process with all that it has started, at once.
 *
 * @param pid The process.
 */
export function killAll(pid: number): void {
  for (const one of [pid, ...descendants(pid)]) orElse(undefined, () => Deno.kill(one, "SIGKILL"));
}

function listDir(path: string): string[] {
  return orElse([], () => [...Deno.readDirSync(path)].map(({ name }) => name));
}

function readFile(path: string): string {
  return orElse("", () => Deno.readTextFileSync(path));
}

/** Processes end while one looks. */
function orElse<Value>(other: Value, look: () => Value): Value {
  try {
    return look();
  } catch {
    return other;
  }
}
