import { type Config, formatPlatform, parsePlatform } from "../../config/mod.ts";
import { ConfigError, formatIssue, ImportError, type LeftOut, UsageError } from "../errors/mod.ts";
import { compile } from "../graph/compile.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { importKind } from "./import_kinds.ts";
import { readFiles } from "./read_files.ts";

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
  const meant = await importKind(kind);
  const { usage, summary, platform: find, read } = meant;
  if (paths.length === 0) {
    throw new UsageError(`Cannot import ${kind}: expected ${usage} behind it`);
  }
  const files = (await Promise.all(paths.map((path) => readFiles(path, meant)))).flat();
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
