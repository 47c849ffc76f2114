import { type Config, formatPlatform, parsePlatform } from "../../config/mod.ts";
import { ConfigError, formatIssue, ImportError, type LeftOut, UsageError } from "../errors/mod.ts";
import { compile } from "../graph/compile.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { codeOf } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import type { ImportFile } from "./import_kind.ts";
import { importKind } from "./import_kinds.ts";

/** What an import takes. */
export interface ImportOptions {
  /** Platform of the images, such as `linux/arm64`; what the files say, if they do, if absent. */
  readonly platform?: string;
  /** Whether it is an error that something has no translation. */
  readonly strict?: boolean;
}

/** What an import has made. */
export interface ImportResult {
  /** The config; it compiles. */
  readonly config: Config;
  /** The same as the text of an `images.config.ts`, with comments. */
  readonly text: string;
  /** The digests and ids that the files have. */
  readonly lock: Lock;
  /** What has no translation. */
  readonly left: readonly LeftOut[];
}

/**
 * Makes a config of what other tools' files say of images.
 *
 * @param kind What the files are, such as `osbuild`.
 * @param paths The files; folders where a kind has them.
 * @param options Platform, strictness.
 * @returns The config, its text, its lock, and what was left out.
 * @throws {ImportError} If a file cannot be read, is none of its kind, or, where that is asked for,
 * has what cannot be translated.
 * @throws {UsageError} If there is no such kind, or the platform is none.
 */
export async function importConfig(
  kind: string,
  paths: readonly string[],
  { platform, strict = false }: ImportOptions = {},
): Promise<ImportResult> {
  const { usage, summary, pattern, platform: find, read } = await importKind(kind);
  if (paths.length === 0) {
    throw new UsageError(`Cannot import ${kind}: expected ${usage} behind it`);
  }
  const files = (await Promise.all(paths.map((path) => readFiles(path, pattern)))).flat();
  const [{ Draft }, { render }] = await Promise.all([import("./draft.ts"), import("./render.ts")]);
  const draft = new Draft(platform === undefined ? find?.(files) : readPlatform(platform));
  read(files, draft);
  const { config, lock, left } = draft;
  if (Object.keys(config).every((key) => key === "platform") && left.length === 0) {
    throw new ImportError(`Cannot find any image in ${paths.join(", ")}`, {
      hint: `\`stowage import ${kind}\` reads ${summary}`,
    });
  }
  if (strict && left.length > 0) {
    throw new ImportError(`Cannot translate all of ${paths.join(", ")}`, {
      left,
      hint: "leave --strict out to have the rest",
    });
  }
  try {
    compile(config, { lock });
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const doing = `Cannot make a config of ${paths.join(", ")}`;
    throw new ImportError([doing, ...cause.issues.map(formatIssue)].join("\n"), { cause });
  }
  return { config, text: render(draft), lock, left };
}

function readPlatform(text: string): string {
  try {
    return formatPlatform(parsePlatform(text));
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new UsageError(cause.message);
  }
}

/** The file itself, or the files of a folder that are of the kind. */
async function readFiles(path: string, pattern: RegExp | undefined): Promise<ImportFile[]> {
  try {
    const { isDirectory } = await Deno.stat(path);
    if (!isDirectory) return [{ path, text: await readText(path) }];
    if (!pattern) throw new ImportError(`Cannot import "${path}": it is a folder`);
    const files: ImportFile[] = [];
    for (const entry of (await Array.fromAsync(Deno.readDir(path))).sort(byName)) {
      const inner = `${path.replace(/\/+$/, "")}/${entry.name}`;
      if (entry.isDirectory) files.push(...await readFiles(inner, pattern));
      else if (pattern.test(inner)) files.push({ path: inner, text: await readText(inner) });
    }
    return files;
  } catch (cause) {
    if (codeOf(cause) === undefined || !(cause instanceof Error)) throw cause;
    const why = cause.message.replace(/ \(os error \d+\)/, "");
    throw new ImportError(`Cannot read "${path}": ${why}`, { cause });
  }
}

/** Manifests of whole systems have some MiB. */
const MAX_BYTES = 64 * 2 ** 20;

async function readText(path: string): Promise<string> {
  const bytes = await readOutside(path, MAX_BYTES);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    throw new ImportError(`Cannot read "${path}": it is ${isGzip ? "compressed" : "no text"}`, {
      cause,
    });
  }
}

function byName(one: Deno.DirEntry, other: Deno.DirEntry): number {
  return one.name < other.name ? -1 : 1;
}
