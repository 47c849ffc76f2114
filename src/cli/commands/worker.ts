import { UsageError } from "../../errors/mod.ts";
import { ABILITIES } from "../../stages/mod.ts";
import { CACHE_FLAGS, readCaches } from "../cache_flags.ts";
import type { Command } from "../command.ts";
import { QUEUE_KEY, readQueue, readQueueKey } from "../on_flags.ts";
import { count } from "../../lib/words.ts";

/** `stowage worker`. */
export const worker: Command = {
  usage: "--queue QUEUE --cache REPO,write",
  flags: [
    {
      name: "queue",
      value: "QUEUE",
      help: "where jobs wait: redis://host:6379 or postgres://host/database",
    },
    QUEUE_KEY,
    {
      name: "can",
      value: "STAGES",
      help: `stages that it may run though they run commands or write to storages: ${
        ABILITIES.join(",")
      }`,
    },
    { name: "name", value: "NAME", help: "what it is called in events (machine and process)" },
    {
      name: "lease",
      value: "SECONDS",
      help: "how long it may be silent before others take its jobs (30)",
    },
    ...CACHE_FLAGS,
  ],
  examples: [
    {
      line: "worker --queue redis://queue.acme.io --cache registry.acme.io/cache,write",
      does: "takes jobs until it is interrupted",
    },
    {
      line: "worker --queue redis://queue.acme.io --cache registry.acme.io/cache,write " +
        "--can install,exec --queue-key queue.key",
      does: "also runs stages that install images or run commands",
    },
  ],
  maxWords: 0,
  async run({ flags, options, onEvent, signal, terminal, isJson, isQuiet }) {
    const queue = flags.text("queue");
    if (queue === undefined) {
      throw new UsageError("Cannot work: no queue is named", {
        hint: "name one: --queue redis://host:6379",
      });
    }
    const [name, lease] = [flags.text("name"), flags.number("lease")];
    const { runWorker } = await import("../../stowage.ts");
    const result = await runWorker({
      ...options,
      queue: readQueue("queue", queue),
      ...readQueueKey(flags),
      can: readAbilities(flags.text("can")),
      cache: readCaches(flags),
      ...(name !== undefined && { name }),
      ...(lease !== undefined && { lease: lease * 1000 }),
      onEvent,
      signal,
    });
    if (!isJson && !isQuiet) {
      const { done, failed } = result;
      terminal.out(`${count(done, "job")} done, ${failed} failed`);
    }
    return { ok: true, ...result };
  },
};

function readAbilities(text: string | undefined) {
  return (text?.split(",") ?? []).map((each) => {
    const ability = ABILITIES.find((ability) => ability === each);
    if (ability !== undefined) return ability;
    throw new UsageError(`Cannot use --can "${each}": expected ${ABILITIES.join(", ")}`);
  });
}
