import { delay } from "@std/async/delay";
import { pushImage, randomLayer, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { fetchersOf } from "./fetchers.ts";
import { type Gate, openGate } from "./gate.ts";
import { runProgram } from "./measure.ts";
import { killAll } from "./processes.ts";
import type { Contender } from "./rounds.ts";
import { formatSize } from "./units.ts";

const CUT_AT = 0.9;

/** Enough to read what the kernel holds. */
const DRAINED_MS = 500;

/** One image whose first fetch was killed when most of it was there. */
export const resumeLarge: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const gate = resources.use(openGate(registry.host));
  const layers = [await randomLayer({ size: mb(200) })];
  const pushed = await pushImage(registry, "apps/large:1", { layers });
  const image = { ...pushed, reference: pushed.reference.replace(registry.host, gate.host) };
  const whole = wholeOf([image]);
  const cut = (contender: Contender): Contender => ({
    ...contender,
    before: async () => {
      await contender.before?.();
      await killAt(contender, gate, Math.floor(CUT_AT * whole));
    },
  });
  const { oneByOne, layout, podman, stowage } = await fetchersOf(dir, [image]);
  return [{
    id: "resume",
    title: `an image of ${formatSize(image.size)}, when a fetch was killed at 90 % of it`,
    contenders: [oneByOne, layout, ...(podman ? [podman] : []), stowage].map(cut),
    isCharted: true,
    sent: () => Promise.resolve(gate.passed),
    whole,
  }];
};

/** Runs a contender until so many bytes have come to it, then kills it, as a crash would. */
async function killAt({ name, run }: Contender, gate: Gate, bytes: number): Promise<void> {
  if (typeof run === "function") throw new Error(`"${name}" is no program`);
  let pid = 0;
  const full = gate.reopenFor(bytes);
  const ended = runProgram(run, (started) => pid = started).then(
    () => "nothing was wrong",
    (error: unknown) => error,
  );
  const cause = await Promise.race([full, ended]);
  if (cause !== undefined) throw new Error(`"${name}" ended before it could be cut`, { cause });
  await delay(DRAINED_MS);
  killAll(pid);
  await ended;
  await gate.reopen();
}
