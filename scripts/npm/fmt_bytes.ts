/** `@std/fmt/bytes` from npm, typed. */
import * as std from "deno-std/fmt/bytes.js";

export interface FormatOptions {
  bits?: boolean;
  binary?: boolean;
  signed?: boolean;
  locale?: boolean | string | string[];
  minimumFractionDigits?: number;
  maximumFractionDigits?: number;
}

export const format: (num: number, options?: FormatOptions) => string = std.format;
