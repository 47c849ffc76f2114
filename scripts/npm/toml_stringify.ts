import { stringify as toToml } from "deno-std/toml/stringify.js";

/** Stands in for `@std/toml/stringify`. */
export const stringify: (value: Record<string, unknown>) => string = toToml;
