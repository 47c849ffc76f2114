/** `@std/fs/{copy,empty-dir,ensure-dir,exists,move}` over fs-extra, typed, with Deno's errors. */
import { constants, type Stats } from "node:fs";
import { fromFileUrl } from "./path.ts";

type Path = string | URL;

export interface CopyOptions {
  overwrite?: boolean;
  preserveTimestamps?: boolean;
}

export interface ExistsOptions {
  isReadable?: boolean;
  isDirectory?: boolean;
  isFile?: boolean;
}

export interface MoveOptions {
  overwrite?: boolean;
}

const errors: Record<string, new (message: string, options: ErrorOptions) => Error> = {
  EACCES: Deno.errors.PermissionDenied,
  EEXIST: Deno.errors.AlreadyExists,
  ENOENT: Deno.errors.NotFound,
  ENOTDIR: Deno.errors.NotADirectory,
  EPERM: Deno.errors.PermissionDenied,
};

const text = (path: Path) => path instanceof URL ? fromFileUrl(path) : path;

// Loaded on first use: it would cost every start some 30 ms.
async function extra<T>(method: string, ...args: unknown[]): Promise<T> {
  const { default: fs } = await import("fs-extra");
  try {
    return await fs[method](...args);
  } catch (cause) {
    const { code = "", message } = cause as Error & { code?: string };
    const DenoError = errors[code];
    throw DenoError ? new DenoError(message, { cause }) : cause;
  }
}

async function refuseExisting(path: Path, overwrite: boolean): Promise<void> {
  if (!overwrite && await extra("lstat", text(path)).catch(() => undefined)) {
    throw new Deno.errors.AlreadyExists(`'${path}' already exists.`);
  }
}

export async function copy(src: Path, dest: Path, options: CopyOptions = {}): Promise<void> {
  await refuseExisting(dest, options.overwrite ?? false);
  await extra("copy", text(src), text(dest), options);
}

export async function emptyDir(dir: Path): Promise<void> {
  await extra("emptyDir", text(dir));
}

export async function ensureDir(dir: Path): Promise<void> {
  await extra("ensureDir", text(dir));
}

export async function exists(path: Path, options: ExistsOptions = {}): Promise<boolean> {
  try {
    const stat = await extra<Stats>("stat", text(path));
    if (options.isReadable) await extra("access", text(path), constants.R_OK);
    return (!options.isDirectory || stat.isDirectory()) && (!options.isFile || stat.isFile());
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.PermissionDenied) return !options.isReadable;
    throw error;
  }
}

export async function move(src: Path, dest: Path, options: MoveOptions = {}): Promise<void> {
  await refuseExisting(dest, options.overwrite ?? false);
  await extra("move", text(src), text(dest), options);
}
