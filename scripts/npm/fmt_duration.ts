/** `@std/fmt/duration` from npm, typed. */
import * as std from "deno-std/fmt/duration.js";

export interface FormatOptions {
  style?: "narrow" | "digital" | "full";
  ignoreZero?: boolean;
}

export const format: (ms: number, options?: FormatOptions) => string = std.format;
