/** How a program is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end.
 *
 * @param command The program.
 * @param args Its arguments.
 * @param options Its folder, its environment, a signal that ends it.
 * @returns Its standard output, as it was written.
 * @throws {Error} If it fails; the message carries its standard error.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const output = await new Deno.Command(command, { ...options, args: [...args], stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  if (!output.success) {
    const line = [command, ...args].join(" ");
    throw new Error(`"${line}" ended with ${output.code}: ${decoder.decode(output.stderr).trim()}`);
  }
  return decoder.decode(output.stdout);
}
