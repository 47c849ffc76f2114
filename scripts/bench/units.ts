/**
 * Writes a time.
 *
 * @param ms In milliseconds.
 * @returns In ms below a second, else in s.
 */
export function formatTime(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

/**
 * Writes a size.
 *
 * @param bytes In bytes.
 * @returns In units of 1000.
 */
export function formatSize(bytes: number): string {
  const unit = ["B", "kB", "MB", "GB"].findLast((_, power) => bytes >= 1000 ** power) ?? "B";
  const value = bytes / 1000 ** ["B", "kB", "MB", "GB"].indexOf(unit);
  return `${unit === "B" || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
}

/**
 * Writes a ratio.
 *
 * @param ratio The ratio; infinite and undefined ones have no text.
 * @returns `0.27×`.
 */
export function formatRatio(ratio: number): string {
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)}×` : "";
}
