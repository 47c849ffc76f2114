import { ToolMissingError } from "../../errors/mod.ts";
import { FileProgress } from "../../lib/fs/file_progress.ts";
import { digestFile, type DigestRequest, type FileDigests } from "./digest_file.ts";

/** What a worker is told: to hash a file, how far one has grown that it hashes, or to leave it. */
export type DigestOrder =
  & { readonly id: number }
  & (
    | {
      readonly request: DigestRequest;
      /** How large the file will be, in bytes; absent where nobody writes it any more. */
      readonly expected?: number;
      readonly memory?: number;
    }
    | { readonly size: number; readonly isWhole: boolean }
    | { readonly isOver: true }
  );

/** What it says: that it runs; that it has read some bytes; the digests or why there are none. */
export type DigestReply =
  | { readonly isReady: true }
  | { readonly id: number; readonly bytes: number }
  | { readonly id: number; readonly digests: FileDigests & { readonly needsMemory?: boolean } }
  | { readonly id: number; readonly missing: string }
  | { readonly id: number; readonly failure: { message: string; code: string | undefined } };

/** How often it tells how far it is, in bytes. */
const STEP = 16 * 2 ** 20;

/** What is there in a worker, and not where the file is only loaded. */
interface WorkerScope {
  onmessage: (event: MessageEvent<DigestOrder>) => void;
  postMessage(reply: DigestReply): void;
}

function isWorker(scope: unknown): scope is WorkerScope {
  return typeof scope === "object" && scope !== null && "postMessage" in scope;
}

const scope: unknown = globalThis;

if (isWorker(scope)) {
  const growing = new Map<number, FileProgress>();
  const running = new Map<number, AbortController>();
  scope.onmessage = async ({ data }) => {
    const { id } = data;
    if ("size" in data) return growing.get(id)?.grow(data.size, data.isWhole);
    if ("isOver" in data) return running.get(id)?.abort();
    const { request, expected, memory } = data;
    const stop = new AbortController();
    running.set(id, stop);
    const now = new FileProgress();
    if (expected !== undefined) growing.set(id, now);
    let bytes = 0;
    const tell = () => {
      if (bytes > 0) scope.postMessage({ id, bytes });
      bytes = 0;
    };
    try {
      const onBytes = (count: number) => {
        bytes += count;
        if (bytes >= STEP) tell();
      };
      const digests = await digestFile(request, {
        ...{ onBytes, signal: stop.signal },
        ...(memory !== undefined && { memory }),
        ...(expected !== undefined && { growth: { now, size: expected } }),
      });
      tell();
      scope.postMessage({ id, digests });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      const isMissing = error instanceof ToolMissingError;
      scope.postMessage(
        isMissing ? { id, missing: error.tool } : { id, failure: { message, code } },
      );
    } finally {
      growing.delete(id);
      running.delete(id);
    }
  };
  scope.postMessage({ isReady: true });
}
