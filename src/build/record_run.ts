import { StoreError } from "../errors/mod.ts";
import type { Emit, RunEvent } from "../events.ts";
import type { Graph } from "../graph/node.ts";
import type { Run } from "../run.ts";
import type { LastRun, RunStep } from "../store/last_run.ts";

/**
 * Does something, and keeps in the store when which item was done. A run that found everything there
 * leaves the record of the run before, which did something.
 *
 * @param action What is run.
 * @param graph The graph of the config.
 * @param run The run.
 * @param work Does it.
 * @returns What it returns.
 */
export async function recordRun<Value>(
  action: LastRun["action"],
  { nodes }: Graph,
  run: Run,
  work: (run: Run) => Promise<Value>,
): Promise<Value> {
  const start = now();
  const steps = new Map<string, Step>();
  const emit: Emit = (event) => {
    const node = event.type === "stage-start" && nodes.get(event.key);
    // Stages on one tree are told together, at the end of the last.
    if (node && node.kind === "stage" && node.on) endOf(steps, node.on);
    note(steps, event);
    run.emit(event);
  };
  try {
    return await work({ ...run, emit });
  } finally {
    const end = now();
    const done = [...steps.values()].map((step): RunStep => ({ end, ...step }));
    if (done.some(({ status }) => status !== "cached")) {
      const { writeLastRun } = await import("../store/last_run.ts");
      await writeLastRun(run.store, { action, start, end, steps: done }).catch((error) => {
        // The run itself counts; a store that cannot be written has told so where that matters.
        if (!(error instanceof StoreError)) throw error;
      });
    }
  }
}

type Step = Omit<RunStep, "end"> & { readonly end?: string };

function endOf(steps: Map<string, Step>, key: string): void {
  const step = steps.get(key);
  if (step) steps.set(key, { end: now(), ...step });
}

function note(steps: Map<string, Step>, event: RunEvent): void {
  if (!("key" in event) || event.type === "worker") return;
  const { key, name } = event;
  const before = steps.get(key) ?? { key, name, status: "unfinished", start: now() };
  switch (event.type) {
    case "resolved":
    case "retry":
    case "absent":
    case "stage-start":
      steps.set(key, before);
      break;
    case "progress":
      steps.set(key, { ...before, ...(event.fetched > 0 && { fetched: event.fetched }) });
      break;
    case "image":
    case "artifact":
    case "stage":
      steps.set(key, { end: now(), ...before, status: event.status });
      break;
    case "failed":
    case "skipped":
      steps.set(key, { ...before, status: event.type, end: now() });
  }
}

function now(): string {
  return new Date().toISOString();
}
