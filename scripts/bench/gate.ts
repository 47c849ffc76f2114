/** A way to a registry that can go dead after so many bytes. */
export interface Gate extends AsyncDisposable {
  /** `127.0.0.1:PORT`, to be used in a reference in place of the registry's. */
  readonly host: string;
  /** Bytes that clients were sent since the gate was opened or reopened, headers included. */
  readonly passed: number;
  /** Ends all connections; from now on everything passes, and is counted from 0. */
  reopen(): Promise<void>;
  /**
   * Ends all connections; from now on so many bytes pass, and what is beyond them is held back.
   *
   * @param limit How many, a whole number.
   * @returns When they have passed.
   */
  reopenFor(limit: number): Promise<void>;
}

/**
 * Opens a gate: a TCP proxy that counts, and otherwise copies what passes.
 *
 * @param host Where it leads, `HOST:PORT`.
 * @returns The gate; `await using` closes it, with all its connections.
 */
export function openGate(host: string): Gate {
  const [hostname = "", port] = host.split(":");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let passage = new Passage();
  const accepting = (async () => {
    for await (const client of listener) passage.admit(client, { hostname, port: Number(port) });
  })();
  const reopen = async (limit?: number) => {
    const old = passage;
    passage = new Passage(limit);
    await old.close();
  };
  return {
    host: `127.0.0.1:${listener.addr.port}`,
    get passed() {
      return passage.passed;
    },
    reopen: () => reopen(),
    async reopenFor(limit: number) {
      await reopen(limit);
      await passage.full;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await passage.close();
    },
  };
}

/** What passes between two openings. */
class Passage {
  passed = 0;
  readonly #limit: number;
  readonly #full = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #pairs = new Set<Promise<void>>();

  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  /** When the limit is reached. */
  get full(): Promise<void> {
    return this.#full.promise;
  }

  admit(client: Deno.TcpConn, target: Deno.ConnectOptions): void {
    this.#connections.add(client);
    const pair = this.#connect(client, target).catch(() => {}).finally(() => {
      this.#close(client);
      this.#pairs.delete(pair);
    });
    this.#pairs.add(pair);
  }

  async close(): Promise<void> {
    this.#closed.resolve();
    for (const connection of this.#connections) this.#close(connection);
    await Promise.all(this.#pairs);
  }

  async #connect(client: Deno.TcpConn, target: Deno.ConnectOptions): Promise<void> {
    const upstream = await Deno.connect(target);
    this.#connections.add(upstream);
    try {
      await Promise.all([
        copy(client, upstream),
        copy(upstream, client, (part) => this.#let(part)),
      ]);
    } finally {
      this.#close(upstream);
    }
  }

  /** Lets through what may pass; when that is all, what comes then waits until the end. */
  async #let(part: Uint8Array): Promise<Uint8Array> {
    if (this.passed >= this.#limit) await this.#closed.promise;
    const allowed = part.subarray(0, this.#limit - this.passed);
    this.passed += allowed.length;
    if (this.passed >= this.#limit) this.#full.resolve();
    return allowed;
  }

  #close(connection: Deno.TcpConn): void {
    if (this.#connections.delete(connection)) connection.close();
  }
}

const PIECE = 256 * 1024;

async function copy(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  pass?: (part: Uint8Array) => Promise<Uint8Array>,
): Promise<void> {
  const buffer = new Uint8Array(PIECE);
  for (let size; (size = await from.read(buffer)) !== null;) {
    const part = buffer.subarray(0, size);
    await writeAll(to, pass ? await pass(part) : part);
  }
  await to.closeWrite();
}

async function writeAll(to: Deno.TcpConn, data: Uint8Array): Promise<void> {
  for (let start = 0; start < data.length;) start += await to.write(data.subarray(start));
}
