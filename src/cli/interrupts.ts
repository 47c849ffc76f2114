import { endProcess } from "./ending.ts";
import { EXIT } from "./exit_code.ts";

const SIGNALS: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
/** How long a run may take to end in order, in ms: programs that do not end get half of it. */
const GRACE = 10_000;

let listener: (() => void) | undefined;
/** How much is going on that only the system can end. */
let left = 0;

/**
 * Listens for Ctrl-C and its kin. The first ends the run in order, or the process where that takes
 * too long; the second ends the process at once.
 *
 * @returns The run's signal; dispose of it to listen no longer.
 */
export function listenForInterrupts(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const end = () => endProcess(EXIT.interrupted);
  listener = () => {
    if (controller.signal.aborted) end();
    Deno.unrefTimer(setTimeout(end, GRACE));
    controller.abort();
  };
  listen(listener);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      if (listener) forget(listener);
      listener = undefined;
    },
  };
}

/**
 * Leaves interrupts to the system, which ends the process at once: code of others may never let go,
 * and then nobody would listen.
 *
 * @returns What has to be disposed of when that code has ended.
 */
export function leaveInterrupts(): Disposable {
  if (left++ === 0 && listener) forget(listener);
  return {
    [Symbol.dispose]: () => {
      if (--left === 0 && listener) listen(listener);
    },
  };
}

function listen(listener: () => void): void {
  for (const signal of SIGNALS) Deno.addSignalListener(signal, listener);
}

function forget(listener: () => void): void {
  for (const signal of SIGNALS) Deno.removeSignalListener(signal, listener);
}
