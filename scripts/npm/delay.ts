/** `@std/async/delay` from npm, typed. */
import * as std from "deno-std/async/delay.js";

export interface DelayOptions {
  signal?: AbortSignal;
  persistent?: boolean;
}

export const delay: (ms: number, options?: DelayOptions) => Promise<void> = std.delay;
