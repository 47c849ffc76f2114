import { delay } from "@std/async/delay";

/** How far away something is. */
export interface Distance {
  /** How long a question and its answer are on their way, in ms. */
  readonly roundTrip: number;
  /** How many bytes a second arrive, by all connections together. */
  readonly rate: number;
}

/** A way to a registry that is as long as one to another continent. */
export interface FarLink extends AsyncDisposable {
  /** `127.0.0.1:PORT`, to be used in a reference in place of the registry's. */
  readonly host: string;
}

const PIECE = 64 * 1024;

/**
 * Opens a TCP proxy that delays what passes: a round trip to connect, half of one each way, and all
 * connections share the rate at which bytes arrive.
 *
 * @param host Where it leads, `HOST:PORT`.
 * @param distance How far that is.
 * @returns The link; `await using` closes it, with all its connections.
 */
export function openFarLink(host: string, { roundTrip, rate }: Distance): FarLink {
  const [hostname = "", port] = host.split(":");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  const pairs = new Set<Promise<void>>();
  const half = roundTrip / 2;
  /** When the last byte that was let through is out of the pipe. */
  let free = 0;
  const arrive = async (size: number) => {
    free = Math.max(free, performance.now()) + 1000 * size / rate;
    // Timers are not exact; what is owed is kept in `free`.
    const left = free - performance.now();
    if (left > 1) await delay(left);
  };
  const connect = async (client: Deno.TcpConn) => {
    const upstream = await Deno.connect({ hostname, port: Number(port) });
    connections.add(upstream);
    await delay(roundTrip);
    await Promise.all([pass(client, upstream, half), pass(upstream, client, half, arrive)]);
  };
  const close = (connection: Deno.TcpConn) => {
    try {
      connection.close();
    } catch {
      // It is closed already.
    }
  };
  const accepting = (async () => {
    for await (const client of listener) {
      connections.add(client);
      client.setNoDelay();
      const pair = connect(client).catch(() => {}).finally(() => pairs.delete(pair));
      pairs.add(pair);
    }
  })();
  return {
    host: `127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of connections) close(connection);
      await Promise.all(pairs);
    },
  };
}

/** Copies what passes, each piece so much later; what is read next does not wait for that. */
async function pass(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  late: number,
  arrive?: (size: number) => Promise<void>,
): Promise<void> {
  let last: Promise<void> = Promise.resolve();
  try {
    for (;;) {
      const buffer = new Uint8Array(PIECE);
      const size = await from.read(buffer);
      const before = last;
      if (size === null) {
        await delay(late);
        await before;
        return await to.closeWrite();
      }
      await arrive?.(size);
      const due = delay(late);
      last = (async () => {
        await due;
        await before;
        for (let start = 0; start < size;) start += await to.write(buffer.subarray(start, size));
      })();
      last.catch(() => {});
    }
  } catch (error) {
    for (const connection of [from, to]) {
      try {
        connection.close();
      } catch {
        // It is closed already.
      }
    }
    throw error;
  }
}
