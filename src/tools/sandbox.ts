import { InterruptedError, ToolMissingError, ToolStartError } from "../errors/mod.ts";
import { find, type ProcessOptions, type ProcessResult, runProcess } from "./process.ts";

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
 * What this machine allows: `root` and `user` (by a user namespace) give a program a network,
 * mounts and processes of its own, `none` does not.
 */
export type Isolation = "root" | "user" | "none";

const MOUNT_FAILED = 125;
const NOT_FOUND = 127;

// The first process of a namespace: when it ends, the kernel takes down mounts and all that still
// runs. It is not the program itself, as signals do not reach a first process.
const INIT = `
while [ "$1" != -- ]; do
  mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" || exit ${MOUNT_FAILED}
  shift 2
done
shift
mount -t proc proc /proc 2>/dev/null
"$@"
exit $?`;

// The first process ends with the one that stowage knows, however that ends.
const LEASH = `setpriv --pdeathsig KILL -- sh -c "$@"; exit $?`;

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
  for (const isolation of ["root", "user"] as const) {
    const [program, ...args] = enclose(isolation, ["true"], {});
    const { code } = await runProcess(program, args).catch((error) => {
      if (error instanceof InterruptedError) throw error;
      return { code: 1 };
    });
    if (code === 0) return isolation;
  }
  return "none";
}

/**
 * Runs a program with mounts, processes, network and environment of its own, as far as this machine
 * allows. What it has started and left running ends with it.
 *
 * @param program Name of the program, looked up on the PATH.
 * @param args Its arguments, each passed on as it is.
 * @param options What it sees.
 * @returns What it said; also where its exit code is not 0.
 * @throws {ToolMissingError} If there is no such program.
 * @throws {ToolStartError} If it cannot be started.
 * @throws {InterruptedError} If the signal was aborted; the program has ended by then.
 */
export async function runInSandbox(
  program: string,
  args: readonly string[],
  options: SandboxOptions = {},
): Promise<ProcessResult> {
  const isolation = await findIsolation();
  const { mounts: _mounts, network: _network, ...rest } = options;
  const command = [program, ...args] as const;
  const [runner, ...its] = isolation === "none" ? command : enclose(isolation, command, options);
  const result = await runProcess(runner, its, { ...rest, isBare: true }).catch((error) => {
    throw error instanceof ToolStartError ? new ToolStartError(program, error.cause) : error;
  });
  if (result.code !== NOT_FOUND || program.includes("/") || await find(program)) return result;
  throw new ToolMissingError(program);
}

/**
 * Runs a program whose mounts end with it, where this machine allows that; what it sees is the same.
 *
 * @param program Name of the program, looked up on the PATH.
 * @param args Its arguments, each passed on as it is.
 * @param options Cancellation, environment, limits.
 * @returns What it said; also where its exit code is not 0.
 * @throws {ToolMissingError} If there is no such program.
 * @throws {InterruptedError} If the signal was aborted; the program has ended by then.
 */
export async function runWithOwnMounts(
  program: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  if (await findIsolation() !== "root") return await runProcess(program, args, options);
  const own = ["--mount", "--propagation", "private", "--", program, ...args];
  const result = await runProcess("unshare", own, options);
  if (result.code !== NOT_FOUND || await find(program)) return result;
  throw new ToolMissingError(program);
}

function enclose(
  isolation: Exclude<Isolation, "none">,
  command: readonly string[],
  { mounts = [], network = false }: SandboxOptions,
): readonly [string, ...string[]] {
  return [
    "unshare",
    ...(isolation === "user" ? ["--user", "--map-root-user"] : []),
    ...(network ? [] : ["--net"]),
    ...["--pid", "--mount", "--propagation", "private", "--", "sh", "-c", LEASH, "stowage"],
    ...[INIT, "stowage", ...mounts.flatMap(({ source, target }) => [source, target])],
    ...["--", ...command],
  ];
}
