/** What became of a config. */
export type Evaluated =
  | { readonly config?: unknown }
  | { readonly odd: string }
  | { readonly failure: Failure };

/** Why a config could not be loaded. */
export interface Failure {
  /** What was thrown, in words. */
  readonly message: string;
  /** Where it was thrown. */
  readonly stack: string;
  /** Every mistake, of a config that compiles itself. */
  readonly issues?: unknown;
}

/**
 * Loads a config and prints what it says. It runs in a process of its own, in which the config's
 * project resolves imports, so that it uses nothing but its parameters.
 *
 * @param url The config.
 * @param cwd The folder that the user is in.
 * @param mark What tells the answer from whatever the config may print.
 */
export async function evaluate(url: string, cwd: string, mark: string): Promise<void> {
  Deno.chdir(cwd);
  const { console } = globalThis;
  // What a config prints is for people.
  for (const name of ["log", "info", "debug"] as const) console[name] = console.error;
  const answer = (evaluated: Evaluated): never => {
    let bytes = new TextEncoder().encode(`\n${mark}${JSON.stringify(evaluated)}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
    Deno.exit(0);
  };
  /** Where a value is that JSON would leave out or change. */
  const findOdd = (value: unknown, path: string): string | undefined => {
    const where = path || "it holds no object: its default export";
    if (value === null || ["string", "boolean", "undefined"].includes(typeof value)) return;
    if (typeof value === "number") {
      return Number.isFinite(value) ? undefined : `${where} is ${value}`;
    }
    if (typeof value !== "object") return `${where} is a ${typeof value}`;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (!Array.isArray(value) && prototype !== null && prototype !== Object.prototype) {
      return `${where} is a ${value.constructor.name}`;
    }
    for (const [key, item] of Object.entries(value)) {
      const name = Array.isArray(value) ? `[${key}]` : `${path && "."}${key}`;
      const odd = findOdd(item, path + name);
      if (odd !== undefined) return odd;
    }
  };
  try {
    const module: Record<string, unknown> = await import(url);
    const odd = findOdd(module["default"], "");
    answer(odd === undefined ? { config: module["default"] } : { odd });
  } catch (error) {
    if (!(error instanceof Error)) answer({ failure: { message: String(error), stack: "" } });
    else {
      const { message, stack = "" } = error;
      answer({ failure: { message, stack, ...("issues" in error && { issues: error.issues }) } });
    }
  }
}
