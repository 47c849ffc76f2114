import { InterruptedError } from "../errors.ts";
import { type ProcessOptions, type ProcessResult, runProcess } from "./process.ts";

/** A folder that a program sees, and cannot change, in another place. */
export interface ReadOnlyMount {
  /** The folder. */
  readonly source: string;
  /** Where the program sees it; an empty folder. */
  readonly target: string;
}

/** How a program is kept from the rest of the machine. */
export interface SandboxOptions extends Omit<ProcessOptions, "isBare"> {
  /** What is mounted for it, read-only; gone with the program, however that ends. */
  readonly mounts?: readonly ReadOnlyMount[];
  /** Whether it may use the network. */
  readonly network?: boolean;
}

/**
 * What this machine allows: `root` and `user` (by a user namespace) give a program a network and
 * mounts of its own, `none` does not.
 */
export type Isolation = "root" | "user" | "none";

const MOUNT_FAILED = 125;

// The mounts are in a namespace of the program's own, so that the kernel takes them down.
const MOUNT_AND_RUN = `
while [ "$1" != -- ]; do
  mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" || exit ${MOUNT_FAILED}
  shift 2
done
shift
exec "$@"`;

let isolation: Promise<Isolation> | undefined;

/**
 * Finds out what this machine allows.
 *
 * @returns How programs are kept from the rest of it.
 */
export function findIsolation(): Promise<Isolation> {
  return isolation ??= probe();
}

async function probe(): Promise<Isolation> {
  for (
    const [flags, isolation] of [[[], "root"], [["--user", "--map-root-user"], "user"]] as const
  ) {
    const args = [...flags, "--mount", "--net", "--propagation", "private", "true"];
    const { code } = await runProcess("unshare", args).catch((error) => {
      if (error instanceof InterruptedError) throw error;
      return { code: 1 };
    });
    if (code === 0) return isolation;
  }
  return "none";
}

/**
 * Runs a program with mounts, network and environment of its own, as far as this machine allows.
 *
 * @param program Name of the program, looked up on the PATH.
 * @param args Its arguments, each passed on as it is.
 * @param options What it sees.
 * @returns What it said; also where its exit code is not 0.
 * @throws {ToolMissingError} If there is no such program.
 * @throws {InterruptedError} If the signal was aborted; the program has ended by then.
 */
export async function runInSandbox(
  program: string,
  args: readonly string[],
  options: SandboxOptions = {},
): Promise<ProcessResult> {
  const { mounts = [], network = false, ...rest } = options;
  const isolation = await findIsolation();
  if (isolation === "none") return await runProcess(program, args, { ...rest, isBare: true });
  return await runProcess("unshare", [
    ...(isolation === "user" ? ["--user", "--map-root-user"] : []),
    ...(network ? [] : ["--net"]),
    ...["--mount", "--propagation", "private", "--", "sh", "-c", MOUNT_AND_RUN, "stowage"],
    ...mounts.flatMap(({ source, target }) => [source, target]),
    ...["--", program, ...args],
  ], { ...rest, isBare: true });
}
