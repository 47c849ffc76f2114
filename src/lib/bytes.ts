/**
 * Puts bytes behind others.
 *
 * @param first The bytes before.
 * @param second The bytes behind them.
 * @returns A copy of both.
 */
export function concat(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
