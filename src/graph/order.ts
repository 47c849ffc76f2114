/**
 * Puts keys in an order in which each stands behind those that it needs.
 *
 * @param needs For each key, the keys that it needs; all of them are keys themselves.
 * @returns The keys in order; or the cycle that makes it impossible, its first key last again.
 */
export function order(
  needs: ReadonlyMap<string, readonly string[]>,
): { readonly keys: readonly string[] } | { readonly cycle: readonly string[] } {
  const done = new Set<string>();
  const open = new Set<string>();
  for (const start of needs.keys()) {
    // A stack of its own: chains may be longer than the engine's is deep.
    const stack = [start];
    for (let key = stack.at(-1); key !== undefined; key = stack.at(-1)) {
      const missing = done.has(key) ? [] : needs.get(key)?.filter((need) => !done.has(need)) ?? [];
      const back = missing.find((need) => open.has(need));
      if (back !== undefined) {
        const trail = [...open, ...(open.has(key) ? [] : [key])];
        return { cycle: [...trail.slice(trail.indexOf(back)), back] };
      }
      if (missing.length > 0) {
        open.add(key);
        stack.push(...missing.toReversed());
      } else {
        open.delete(key);
        done.add(key);
        stack.pop();
      }
    }
  }
  return { keys: [...done] };
}
