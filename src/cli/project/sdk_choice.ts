import { join, toFileUrl } from "@std/path";
import denoJson from "../../../deno.json" with { type: "json" };
import { UsageError } from "../../errors/mod.ts";
import { runDeno } from "../../tools/deno.ts";
import { SDK_NAME, sdkFolder, sdkMap, sdkUrl } from "./sdk.ts";

/** Where a project can have stowage from. */
export const SDK_CHOICES = ["jsr", "npm", "files"] as const;

/** One of them. */
export type SdkChoice = typeof SDK_CHOICES[number];

const { version } = denoJson;
const PATIENCE_MS = 3000;

/**
 * Finds out where a project on this machine can have the running stowage from: JSR, npm, or its files.
 *
 * @param isOffline Whether to ask nobody.
 * @returns The first that has this version.
 */
export async function chooseSdk(isOffline: boolean): Promise<SdkChoice> {
  if (isOffline) return "files";
  const jsr = Deno.env.get("JSR_URL") ?? "https://jsr.io";
  const npm = Deno.env.get("NPM_CONFIG_REGISTRY") ?? "https://registry.npmjs.org";
  // Both are asked at once: where there is no network, one wait is enough.
  const [isOnJsr, isOnNpm] = await Promise.all([
    answers(`${jsr.replace(/\/$/, "")}/${SDK_NAME}/${version}_meta.json`),
    answers(`${npm.replace(/\/$/, "")}/${SDK_NAME.replace("/", "%2f")}/${version}`),
  ]);
  return isOnJsr ? "jsr" : isOnNpm ? "npm" : "files";
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * What a `deno.json` has to say, so that the editor, Deno and stowage mean the same stowage.
 *
 * @param choice Where it comes from.
 * @returns Its import map.
 * @throws {UsageError} If the running stowage is not on this disk, and is to be had from there.
 */
export async function sdkImports(
  choice: SdkChoice,
): Promise<{ readonly imports: Readonly<Record<string, string>> }> {
  if (choice !== "files") return { imports: { [SDK_NAME]: `${choice}:${SDK_NAME}@^${version}` } };
  const [folder, map] = [sdkFolder(), sdkMap()];
  if (folder === undefined) {
    throw new UsageError("Cannot use the files of a stowage that is not on this disk", {
      hint: "choose --sdk jsr or --sdk npm",
    });
  }
  // What a checkout imports itself, another machine or an empty cache does not have.
  return { imports: { [SDK_NAME]: map === undefined ? sdkUrl() : await buildSdk(folder) } };
}

/** The packages of a checkout are found elsewhere only where they are built into one file with it. */
async function buildSdk(folder: string): Promise<string> {
  const args = ["run", "-A", "--quiet", join(folder, "scripts/sdk.ts")];
  const { code, stderr } = await runDeno(join(folder, "scripts/deno"), args, { cwd: folder });
  if (code === 0) return toFileUrl(join(folder, ".tools/sdk/mod.js")).href;
  throw new UsageError(`Cannot build the SDK in "${folder}": ${stderr.trim()}`, {
    hint: "choose --sdk jsr or --sdk npm",
  });
}
