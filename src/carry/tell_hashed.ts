import type { Emit } from "../events.ts";

const INTERVAL_MS = 200;

/**
 * Tells how much is hashed, at most five times a second.
 *
 * @param emit Takes events.
 * @returns Takes how many bytes are hashed, of how many.
 */
export function tellHashed(emit: Emit): (bytes: number, total: number) => void {
  let told = -Infinity;
  return (bytes, total) => {
    const now = performance.now();
    if (now - told < INTERVAL_MS && bytes < total) return;
    told = now;
    emit({ type: "verifying", bytes, total });
  };
}
