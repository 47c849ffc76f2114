import { deadline } from "@std/async/deadline";
import { UsageError } from "../../errors/mod.ts";
import { PACKAGES } from "./packages.ts";
import type { Kit, OpenOptions } from "./queue.ts";

/** How long to wait before Redis is tried again, in ms. */
const RETRY_MS = { first: 100, most: 2000 };

/**
 * Opens BullMQ on Redis.
 *
 * @param url `redis://[user@]host[:port][/db]`, `rediss://…`, or `redis:///path` for a socket.
 * @param options How long Redis may take to answer at first; who is told when it goes and comes.
 * @returns What makes its parts.
 * @throws {Error} If Redis does not answer.
 */
export async function openRedis(
  url: string,
  { timeout, onAway, onBack }: OpenOptions,
): Promise<Kit> {
  const [{ default: { Redis } }, bullmq] = await Promise.all([
    PACKAGES.ioredis(),
    PACKAGES.bullmq(),
  ]);
  const connection = new Redis({ ...readUrl(url), ...HOW, lazyConnect: true });
  let why: unknown;
  connection.on("error", (error: Error) => why = error);
  try {
    await deadline(connection.connect(), timeout);
  } catch (error) {
    connection.disconnect();
    throw why ?? error;
  }
  // It connects again by itself.
  let isClosing = false;
  connection.on("close", () => isClosing || onAway(why));
  connection.on("ready", onBack);
  const options = { connection, prefix: "stowage" };
  const queue = (name: string) => new bullmq.Queue(name, options);
  return {
    errors: bullmq,
    queue,
    events: (name, lastEventId) => new bullmq.QueueEvents(name, { ...options, lastEventId }),
    producer: (name) => new bullmq.QueueEventsProducer(name, options),
    worker: (name, process, more) => new bullmq.Worker(name, process, { ...options, ...more }),
    close() {
      isClosing = true;
      connection.disconnect();
      return Promise.resolve();
    },
  };
}

const HOW = {
  maxRetriesPerRequest: null,
  enableOfflineQueue: true,
  retryStrategy: (times: number) => Math.min(RETRY_MS.first * times, RETRY_MS.most),
} as const;

/** The parts of a URL, as https://www.iana.org/assignments/uri-schemes/prov/redis has them. */
function readUrl(url: string) {
  const { protocol, hostname, port, pathname, username, password } = parse(url);
  const secret = decodeURIComponent(password) || Deno.env.get("STOWAGE_QUEUE_PASSWORD");
  const login = {
    ...(username && { username: decodeURIComponent(username) }),
    ...(secret && { password: secret }),
  };
  if (!hostname) return { path: decodeURIComponent(pathname), ...login };
  const [, db = "0"] = /^\/?(\d*)$/.exec(pathname) ?? [];
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || 6379),
    db: Number(db || 0),
    ...login,
    ...(protocol === "rediss:" && { tls: {} }),
  };
}

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new UsageError("Cannot read the URL of the queue", {
      hint: "write it as redis://host:6379/0",
    });
  }
}
