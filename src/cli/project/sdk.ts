import { dirname, fromFileUrl, join, toFileUrl } from "@std/path";
import denoJson from "../../../deno.json" with { type: "json" };

/** What configs import. */
export const SDK_NAME = "@stowage/stowage";

/**
 * Where the running stowage is, for configs that import it.
 *
 * @returns A URL or a specifier that needs no import map.
 */
export function sdkUrl(): string {
  try {
    return import.meta.resolve(SDK_NAME);
  } catch {
    return `jsr:${SDK_NAME}@${denoJson.version}`;
  }
}

/**
 * The folder of the running stowage.
 *
 * @returns Its path; `undefined` if it is not on this disk.
 */
export function sdkFolder(): string | undefined {
  const url = sdkUrl();
  return url.startsWith("file:") ? dirname(fromFileUrl(url)) : undefined;
}

/**
 * The import map that a checkout of stowage runs with: `STOWAGE_IMPORT_MAP`, or its `deno.json`.
 *
 * @returns Its URL; what is bundled needs none.
 */
export function sdkMap(): string | undefined {
  const folder = sdkFolder();
  if (folder === undefined || !sdkUrl().endsWith(".ts")) return undefined;
  return toFileUrl(Deno.env.get("STOWAGE_IMPORT_MAP") ?? join(folder, "deno.json")).href;
}
