import { deadline } from "@std/async/deadline";
import type { PgPool, PgPoolClient } from "bullmq";
import { PACKAGES } from "./packages.ts";
import type { Kit, OpenOptions } from "./queue.ts";

/** Each listener keeps one; a worker has as many as kinds of jobs that it takes, and two more. */
const CONNECTIONS = 20;
/** How long events may be late of which the database has not told, in ms. */
const LATE = 2000;

/**
 * Opens BullMQ on PostgreSQL, in a schema of its own that is made where it is absent.
 *
 * @param url `postgres://[user@]host[:port]/database`, or `postgres:///database?host=/folder` for a
 * socket.
 * @param options How long PostgreSQL may take to answer at first; who is told when it goes and comes.
 * @returns What makes its parts.
 * @throws {Error} If PostgreSQL does not answer, or does not let the schema be made.
 */
export async function openPostgres(
  url: string,
  { timeout, onAway, onBack }: OpenOptions,
): Promise<Kit> {
  const [{ default: pg }, bullmq] = await Promise.all([PACKAGES.pg(), PACKAGES.bullmq()]);
  const { createPostgresBackend, DEFAULT_SCHEMA, runMigrations, withBackend } = bullmq;
  const password = Deno.env.get("STOWAGE_QUEUE_PASSWORD");
  const pool: PgPool = new pg.Pool({
    connectionString: url,
    ...(password && !new URL(url).password && { password }),
    max: CONNECTIONS,
    options: `-c search_path=${DEFAULT_SCHEMA}`,
    connectionTimeoutMillis: timeout,
  });
  let isClosing = false;
  pool.on("error", (error: Error) => isClosing || onAway(error));
  try {
    const client: PgPoolClient = await deadline(pool.connect(), timeout);
    try {
      await runMigrations(client);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw error;
  }
  const { Queue, QueueEvents, QueueEventsProducer, Worker } = withBackend(createPostgresBackend);
  const options = { connection: pool };
  const queue = (name: string) => new Queue(name, options);
  return {
    errors: bullmq,
    queue,
    events(name, lastEventId) {
      const events = new QueueEvents(name, { ...options, lastEventId, blockingTimeout: LATE });
      events.on("completed", onBack);
      return events;
    },
    producer: (name) => new QueueEventsProducer(name, options),
    worker: (name, process, more) => new Worker(name, process, { ...options, ...more }),
    async close() {
      isClosing = true;
      await pool.end();
    },
  };
}
