import { dirname, fromFileUrl, join, relative, toFileUrl } from "@std/path";
import * as v from "valibot";
import {
  ConfigError,
  ConfigFileError,
  InterruptedError,
  StowageError,
  UnexpectedError,
} from "../../errors/mod.ts";
import { readIfThere } from "../../lib/fs/outside_file.ts";
import { copyPlain } from "../../lib/plain_data.ts";
import { findDeno, runDeno } from "../../tools/deno.ts";
import { hasEnded, LOST_PROMISE } from "../ending.ts";
import { leaveInterrupts } from "../interrupts.ts";
import { evaluate, type Evaluated, type Failure } from "./evaluate.ts";
import { findProject, type ImportMap, type Project, readImportMap } from "./project.ts";
import { SDK_NAME, sdkFolder, sdkMap, sdkUrl } from "./sdk.ts";

/** How a config is loaded. */
export interface LoadOptions {
  /** Downloads nothing that it imports. */
  readonly isOffline?: boolean;
  /** Takes what the user has to know, in a line. */
  readonly onNote?: (message: string) => void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

const EvaluatedSchema: v.GenericSchema<Evaluated> = v.union([
  v.object({
    failure: v.object({
      message: v.string(),
      stack: v.string(),
      issues: v.optional(v.unknown()),
    }),
  }),
  v.object({ odd: v.string() }),
  v.object({ config: v.optional(v.unknown()) }),
]);

const IssuesSchema = v.array(v.object({
  path: v.string(),
  value: v.optional(v.unknown()),
  expected: v.string(),
  suggestion: v.exactOptional(v.string()),
}));

/**
 * Loads a config that is a module, with the imports of its project. Where the project does not say
 * where `@stowage/stowage` is, it is the running stowage.
 *
 * @param file The config.
 * @param options Notes, signal, whether to download.
 * @returns Its default export.
 * @throws {ConfigFileError} If it cannot be loaded.
 * @throws {ConfigError} If it compiles itself and has mistakes.
 */
export async function loadModule(file: string, options: LoadOptions): Promise<unknown> {
  const project = await findReadable(file, options);
  const isThere = project !== undefined || await mayNeverEnd(file);
  return isThere ? await loadThere(file, project, options) : await loadHere(file);
}

/** Deno ends the process where a module awaits what never comes, and tells nobody in it. */
async function mayNeverEnd(file: string): Promise<boolean> {
  const bytes = await readIfThere(file);
  const hasAwait = /\bawait\b/.test(new TextDecoder().decode(bytes));
  return hasAwait && await findDeno() !== undefined;
}

/**
 * Finds the project of a config. One that cannot be read says nothing: what the config imports by it
 * is missed when it is loaded.
 *
 * @param file The config.
 * @param options Takes what is wrong with the project.
 * @returns The project, if it has one of its own.
 */
export async function findReadable(
  file: string,
  { onNote }: LoadOptions,
): Promise<Project | undefined> {
  try {
    return await findProject(dirname(file));
  } catch (error) {
    if (!(error instanceof ConfigFileError)) throw error;
    onNote?.(`${error.message}; the config is loaded without it`);
    return undefined;
  }
}

/** Without a project, this process resolves imports as one of its own would. */
async function loadHere(file: string): Promise<unknown> {
  try {
    using _interrupts = leaveInterrupts();
    const module: Record<string, unknown> = await import(toFileUrl(file).href);
    return readPlain(module["default"], file);
  } catch (cause) {
    if (cause instanceof StowageError) throw cause; // a config may compile itself
    const failure = cause instanceof Error
      ? { message: cause.message, stack: cause.stack ?? "" }
      : { message: new UnexpectedError(cause).message, stack: "" };
    throw await explain(file, failure, cause);
  }
}

function readPlain(value: unknown, file: string): unknown {
  const copy = copyPlain(value);
  if ("data" in copy) return copy.data;
  const place = copy.path.join(".");
  const message = place === ""
    ? `it holds no object, but ${copy.fault}`
    : `"${place}" is no plain data, but ${copy.fault}`;
  throw new ConfigFileError(`Cannot use the config "${file}": ${message}`, {
    hint: "a config is what JSON can say; await what is a Promise",
  });
}

async function loadThere(
  file: string,
  project: Project | undefined,
  options: LoadOptions,
): Promise<unknown> {
  const mark = crypto.randomUUID();
  const call = [toFileUrl(file).href, Deno.cwd(), mark].map((text) => JSON.stringify(text));
  const program = `(${evaluate})(${call});`;
  const { stdout, stderr } = await withFlags(project, (deno, flags) => {
    const { isOffline, signal } = options;
    const cached = isOffline || Deno.env.get("STOWAGE_CACHED_ONLY") ? ["--cached-only"] : [];
    const args = ["run", "-A", "--quiet", "--ext=js", ...cached, ...flags, "-"];
    return runDeno(deno, args, { cwd: dirname(file), stdin: program, signal });
  });
  if (options.signal?.aborted) throw new InterruptedError(options.signal.reason);
  const line = stdout.split("\n").find((line) => line.startsWith(mark));
  if (line === undefined) {
    const said = stderr.trim();
    if (said === "") throw hasEnded();
    if (!NEVER.test(said)) throw new ConfigFileError(`Cannot load the config "${file}": ${said}`);
    throw await explain(file, { message: "it waits for what never comes", stack: said });
  }
  if (stderr.trim()) options.onNote?.(stderr.trim());
  const evaluated = v.parse(EvaluatedSchema, JSON.parse(line.slice(mark.length)));
  if ("failure" in evaluated) {
    const { failure } = evaluated;
    const issues = v.safeParse(IssuesSchema, failure.issues);
    if (issues.success) throw new ConfigError(issues.output);
    const cause = Object.assign(new Error(failure.message), { stack: failure.stack });
    throw await explain(file, failure, cause);
  }
  if ("odd" in evaluated) {
    throw new ConfigFileError(`Cannot use the config "${file}": ${evaluated.odd}`, {
      hint: "a config is plain data: what the functions of stowage return, text, numbers, lists",
    });
  }
  return evaluated.config;
}

/**
 * Runs Deno as it has to run for the modules of a project.
 *
 * @param project The project; without one, only `@stowage/stowage` has a name.
 * @param use Runs it.
 * @param sdk What `@stowage/stowage` is, where the project does not say.
 * @returns What `use` returns.
 * @throws {ConfigFileError} If there is no Deno.
 */
export async function withFlags<T>(
  project: Project | undefined,
  use: (deno: string, flags: readonly string[]) => Promise<T>,
  sdk: string = sdkUrl(),
): Promise<T> {
  const deno = await findDeno();
  if (deno === undefined) {
    throw new ConfigFileError(
      "Cannot load a config with the imports of its project: no Deno here",
      {
        hint: "install deno, or use images.config.json",
      },
    );
  }
  if (project?.hasSdk) return await use(deno, []);
  const folder = await Deno.makeTempDir({ prefix: "stowage-" });
  try {
    const [map, lock] = [join(folder, "import_map.json"), join(folder, "deno.lock")];
    await Deno.writeTextFile(map, JSON.stringify(await mapWithSdk(sdk, project?.map)));
    // The project's lock says which versions; that stowage was there is none of its business.
    const own = project && await readIfThere(join(project.root, "deno.lock"), MAX_LOCK);
    if (own) await Deno.writeFile(lock, own);
    return await use(deno, ["--import-map", map, "--lock", lock, "--frozen=false"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The project's import map, with `@stowage/stowage` and what a checkout of that imports itself. */
async function mapWithSdk(sdk: string, map?: ImportMap): Promise<ImportMap> {
  const [folder, ownMap] = [sdkFolder(), sdkMap()];
  const own = ownMap === undefined ? undefined : (await readImportMap(ownMap)).imports;
  return {
    imports: { ...map?.imports, [SDK_NAME]: sdk },
    scopes: {
      ...map?.scopes,
      ...(own && folder !== undefined && { [`${toFileUrl(folder).href}/`]: own }),
    },
  };
}

const NEVER = /^error: Top-level await promise never resolved/;

/** Locks of large projects have some MiB. */
const MAX_LOCK = 64 * 2 ** 20;

/** Says where a config throws what, with the line that does. */
async function explain(
  file: string,
  { message, stack }: Failure,
  cause?: unknown,
): Promise<ConfigFileError> {
  const where = await findLine(`${message}\n${stack}`, dirname(file));
  const [text] = message.split(/\n +at file:/, 1);
  return new ConfigFileError([`Cannot load the config "${file}": ${text}`, ...where].join("\n"), {
    cause,
    hint: NEVER.test(stack) ? LOST_PROMISE : hintOf(message),
  });
}

function hintOf(message: string): string | undefined {
  const isUnmapped = /"@?stowage.*(not a dependency|not prefixed with|import map)/i.test(message);
  const isManual = /in the node_modules directory/.test(message);
  return isUnmapped
    ? `map "${SDK_NAME}" in your deno.json (deno add jsr:${SDK_NAME}), or use images.config.json`
    : isManual
    ? `install what is missing; if that is not yours, add ${SDK_NAME} to the project as well`
    : undefined;
}

/** Where a config threw: the first place of a stack in its folder, or else of what it called. */
async function findLine(stack: string, folder: string): Promise<string[]> {
  const own = sdkFolder();
  const places = [...stack.matchAll(/(file:\/\/[^\s()]+?):(\d+):(\d+)/g)]
    .map(([, url = "", line, column]) => ({ path: fromFileUrl(url), line, column }))
    .filter(({ path }) => own === undefined || !path.startsWith(`${own}/src/`));
  const place = places.find(({ path }) => path.startsWith(`${folder}/`)) ?? places[0];
  if (!place) return [];
  const { path, line, column } = place;
  const bytes = await readIfThere(path).catch(() => undefined);
  const source = new TextDecoder().decode(bytes).split("\n")[Number(line) - 1];
  const where = `  at ${relative(folder, path)}:${line}:${column}`;
  // Of what it cannot parse, Deno shows the line itself.
  if (source === undefined || /\n +\|\n/.test(stack)) return [where];
  const before = source.slice(0, Number(column) - 1);
  return [where, `    ${source.trimEnd()}`, `    ${before.replace(/\S/g, " ")}^`];
}
