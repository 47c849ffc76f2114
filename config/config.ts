import type { Cache } from "./cache.ts";
import type { PlatformName } from "./platform.ts";
import type { Input } from "./inputs.ts";
import type { RegistrySettings } from "./registries.ts";
import type { Source } from "./sources.ts";
import type { Stage } from "./stages/mod.ts";
import type { Mirror, Policy } from "./trust.ts";

/** A config, as plain data; the type parameters are the names of its parts. */
export interface Config<
  SourceName extends string = string,
  InputName extends string = string,
  StageName extends string = string,
> {
  /** Where the JSON Schema of the config is, for editors. */
  readonly $schema?: string;
  /** Platform of sources that name none; this machine's if absent. */
  readonly platform?: PlatformName;
  /** What to do about sources that nothing pins; `warn` if absent. */
  readonly digests?: "require" | "warn" | "ignore";
  /** Which images are trusted; what this machine says if absent. */
  readonly policy?: Policy;
  /**
   * Folder that says where signatures of registries' images are, and where an install puts them
   * (containers-registries.d(5)); this machine's if absent.
   */
  readonly registriesD?: string;
  /** Where images may come from as well, by registry or by a part of its paths. */
  readonly mirrors?: Readonly<Record<string, readonly (string | Mirror)[]>>;
  /**
   * How registries are reached, by `host[:port][/path]`; the longest that fits counts, and what a
   * source or a destination says itself counts more.
   */
  readonly registries?: RegistrySettings;
  /** Repositories that keep images for many machines, in the order in which they are asked. */
  readonly cache?: readonly Cache[];
  /** Where content comes from, by name. */
  readonly sources?: Readonly<Record<SourceName, Source>>;
  /** What stages read, by name. */
  readonly inputs?: Readonly<Record<InputName, Input<NoInfer<SourceName>, NoInfer<StageName>>>>;
  /** What turns inputs into trees, by name. */
  readonly stages?: Readonly<Record<StageName, Stage<NoInfer<InputName>, NoInfer<StageName>>>>;
}

/**
 * Types a config: the compiler refuses an input that names no source and a stage that names no
 * input. It returns what it is given.
 *
 * @param config The config.
 * @returns The same object; `compile()` checks it.
 *
 * @example Usage
 * ```ts
 * import { defineConfig, docker, images, install } from "@stowage/stowage";
 *
 * export default defineConfig({
 *   sources: { proxy: docker("docker.io/library/caddy:2.8") },
 *   inputs: { apps: images({ proxy: "localhost/caddy:2" }) },
 *   stages: { os: install({ inputs: ["apps"], destination: { type: "containers-storage" } }) },
 * });
 * ```
 */
export function defineConfig<
  const SourceName extends string = never,
  const InputName extends string = never,
  const StageName extends string = never,
>(
  config: Config<SourceName, InputName, StageName>,
  // `NoInfer`: only the config says which names there are, not where it is passed on to.
): Config<NoInfer<SourceName>, NoInfer<InputName>, NoInfer<StageName>> {
  return config;
}
