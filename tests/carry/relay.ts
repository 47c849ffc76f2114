import type { Registry } from "../support/mod.ts";

/** A relay of bytes before a registry: what is uploaded can be cut. */
export interface Relay extends AsyncDisposable {
  /** `127.0.0.1:PORT`, to be used in place of the registry's. */
  readonly host: string;
  /** How many bytes clients have sent so far. */
  readonly sent: number;
  /** Calls back once, when clients have sent so many bytes more; that connection ends then. */
  cutAfter(bytes: number, onCut?: () => void): void;
}

/**
 * Starts a relay.
 *
 * @param registry Where bytes go.
 * @returns The relay; `await using` ends it, with all its connections.
 */
export function startRelay(registry: Pick<Registry, "host">): Relay {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.Conn>();
  const running: Promise<void>[] = [];
  let sent = 0;
  let cut: { readonly at: number; readonly onCut: () => void } | undefined;
  const close = (conn: Deno.Conn) => {
    if (connections.delete(conn)) conn.close();
  };
  const pump = async (from: Deno.Conn, to: Deno.Conn, isUp: boolean) => {
    const chunk = new Uint8Array(16 * 1024);
    try {
      for (let length; (length = await from.read(chunk)) !== null;) {
        for (let at = 0; at < length;) at += await to.write(chunk.subarray(at, length));
        if (isUp) sent += length;
        if (!isUp || !cut || sent < cut.at) continue;
        const { onCut } = cut;
        cut = undefined;
        onCut();
        break;
      }
    } catch {
      // The other side has gone.
    }
    close(from);
    close(to);
  };
  const serve = async (down: Deno.Conn) => {
    connections.add(down);
    const [hostname = "", port] = registry.host.split(":");
    const up = await Deno.connect({ hostname, port: Number(port) });
    connections.add(up);
    await Promise.all([pump(down, up, true), pump(up, down, false)]);
  };
  const accepting = (async () => {
    for await (const conn of listener) running.push(serve(conn));
  })();
  return {
    host: `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    get sent() {
      return sent;
    },
    cutAfter(bytes, onCut = () => {}) {
      cut = { at: sent + bytes, onCut };
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of [...connections]) close(conn);
      await accepting;
      await Promise.all(running);
    },
  };
}
