import { assert } from "@std/assert";
import type {
  ErrorData,
  ImageResult,
  Source,
  StowageEvent,
  StowageOptions,
} from "@stowage/stowage";
import { denoProgram } from "../support/mod.ts";

/** What a process fetches. */
export interface Job {
  readonly sources: Readonly<Record<string, Source>>;
  readonly options: StowageOptions;
  /** Set in the process before it begins. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a process tells. */
export type JobLine =
  | StowageEvent
  | { readonly type: "ready" }
  | { readonly type: "result"; readonly images: readonly ImageResult[] }
  | { readonly type: "error"; readonly errors: Readonly<Record<string, ErrorData>> };

/** A process of its own that fetches. */
export interface JobProcess extends AsyncDisposable {
  /** What it has told so far. */
  readonly lines: readonly JobLine[];
  /** Lets it begin. */
  go(): Promise<void>;
  /** Waits until it tells a line of a type, which may have to be of a kind. */
  until<Type extends JobLine["type"]>(
    type: Type,
    where?: (line: Extract<JobLine, { type: Type }>) => boolean,
  ): Promise<Extract<JobLine, { type: Type }>>;
  /** Ends it with SIGKILL, and waits for its end. */
  kill(): Promise<void>;
}

/**
 * Starts a process that fetches, and waits until it could begin.
 *
 * @param job What it fetches.
 * @param prefix Program that starts it, with its arguments.
 * @returns The process; `await using` ends it.
 */
export async function startJob(job: Job, prefix: readonly string[] = []): Promise<JobProcess> {
  const options = { retryDelay: 0, platform: "linux/amd64", ...job.options };
  const program = import.meta.resolve("./fetch_job.ts");
  const [deno, denoArgs] = denoProgram(program, JSON.stringify({ ...job, options }));
  const [command = deno, ...args] = [...prefix, deno, ...denoArgs];
  const child = new Deno.Command(command, {
    ...{ args, stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  const lines: JobLine[] = [];
  const waiting = new Set<() => void>();
  const reading = (async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = `${rest}${text}`.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts.map((line) => JSON.parse(line)));
      for (const wake of waiting) wake();
    }
  })();
  const ended = Promise.all([child.status, reading]);
  const stdin = child.stdin.getWriter();
  const process: JobProcess = {
    lines,
    async go() {
      await stdin.write(new Uint8Array([10]));
    },
    async until<Type extends JobLine["type"]>(
      type: Type,
      where: (line: Extract<JobLine, { type: Type }>) => boolean = () => true,
    ) {
      const isType = (line: JobLine): line is Extract<JobLine, { type: Type }> =>
        line.type === type;
      let isOver = false;
      const over = ended.then(() => isOver = true);
      while (true) {
        const found = lines.filter(isType).find(where);
        if (found) return found;
        assert(!isOver, `it ended without "${type}": ${JSON.stringify(lines.at(-1))}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await Promise.race([promise, over]);
        waiting.delete(resolve);
      }
    },
    async kill() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // It has ended by itself.
      }
      await ended;
    },
    async [Symbol.asyncDispose]() {
      await process.kill();
      await stdin.close().catch(() => {});
    },
  };
  await process.until("ready");
  return process;
}

/** Runs a process that fetches, to its end. */
export async function runJob(job: Job, prefix: readonly string[] = []): Promise<{
  readonly images: readonly ImageResult[];
  readonly errors: Readonly<Record<string, ErrorData>>;
  readonly events: readonly StowageEvent[];
}> {
  await using process = await startJob(job, prefix);
  await process.go();
  const end = await Promise.race([process.until("result"), process.until("error")]);
  const events = process.lines.filter((line): line is StowageEvent =>
    line.type !== "ready" && line.type !== "result" && line.type !== "error"
  );
  return end.type === "result"
    ? { images: end.images, errors: {}, events }
    : { images: [], errors: end.errors, events };
}
