import type { Config, RegistrySettings } from "../../config/mod.ts";
import { findSettings } from "../../config/registries.ts";
import type { ConfigIssue } from "../errors/mod.ts";

/**
 * Finds mirrors with files of their own: skopeo takes one file with credentials, and one folder with
 * certificates, for a registry and all its mirrors.
 *
 * @param mirrors The mirrors, by what they are mirrors of.
 * @param registries How registries are reached.
 * @returns What is wrong.
 */
export function checkMirrors(
  mirrors: Config["mirrors"] = {},
  registries: RegistrySettings = {},
): ConfigIssue[] {
  return Object.entries(mirrors).flatMap(([prefix, places]) =>
    places.flatMap((place) => {
      const location = typeof place === "string" ? place : place.location;
      const { of, how } = findSettings(location, registries);
      const { how: other } = findSettings(prefix, registries);
      return (["authFile", "certDir"] as const).flatMap((option): ConfigIssue[] => {
        const value = how[option];
        if (value === undefined || value === other[option]) return [];
        return [{
          path: `registries.${of}.${option}`,
          value,
          expected: `the same as registries.${prefix} has, as "${location}" is a mirror of that`,
        }];
      });
    })
  );
}
