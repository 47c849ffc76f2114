import { basename } from "@std/path";
import type { StoreHolder } from "../errors/mod.ts";
import { readOutsideText } from "../lib/fs/outside_file.ts";

const UNKNOWN: StoreHolder = { command: "another process" };

/** The commands that take a lock; of a command line, nothing else is shown. */
const COMMANDS = ["build", "fetch", "gc", "lock", "plan", "verify"];

/**
 * Finds out who has locked a folder.
 *
 * @param folder The folder, opened.
 * @returns The processes; one that nothing is known of where the system does not say.
 */
export async function findHolders(folder: Deno.FsFile): Promise<readonly StoreHolder[]> {
  try {
    const { ino } = await folder.stat();
    const pids = pidsOf(await readOutsideText("/proc/locks"), ino);
    const holders = await Promise.all(pids.map(nameProcess));
    return holders.length > 0 ? holders : [UNKNOWN];
  } catch {
    return [UNKNOWN]; // not Linux, or no /proc
  }
}

/** See proc_locks(5): `1: FLOCK  ADVISORY  WRITE 4711 08:01:131073 0 EOF`. */
function pidsOf(locks: string, ino: number | null): number[] {
  const pids = locks.split("\n").flatMap((line) => {
    const [, kind, , , pid, file = ""] = line.trim().split(/\s+/);
    return kind === "FLOCK" && file.split(":").at(-1) === String(ino) ? [Number(pid)] : [];
  });
  // A process of another namespace is 0 or less.
  return [...new Set(pids)].filter((pid) => pid > 0);
}

async function nameProcess(pid: number): Promise<StoreHolder> {
  // It may have ended in between, or be hidden.
  const line = await readOutsideText(`/proc/${pid}/cmdline`).catch(() => "");
  const [path = "", ...args] = line.split("\0");
  const program = basename(path);
  if (program === "") return { pid, command: UNKNOWN.command };
  const command = args.find((arg) => COMMANDS.includes(arg));
  return { pid, command: command === undefined ? program : `stowage ${command}` };
}
