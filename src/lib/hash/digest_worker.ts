import { digestFile, type DigestRequest, type FileDigests } from "./digest_file.ts";
import { Growth } from "../fs/file_progress.ts";

/** What a worker is told: to hash a file, or how far one has grown that it hashes. */
export type DigestOrder =
  & { readonly id: number }
  & (
    | { readonly request: DigestRequest; readonly isGrowing: boolean }
    | { readonly size: number; readonly isWhole: boolean }
  );

/** What it says: that it has read some bytes, and at last the digests or why there are none. */
export type DigestReply =
  & { readonly id: number }
  & (
    | { readonly bytes: number }
    | { readonly digests: FileDigests }
    | { readonly failure: { message: string; code: string | undefined } }
  );

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
  const growing = new Map<number, Growth>();
  scope.onmessage = async ({ data }) => {
    const { id } = data;
    if ("size" in data) return growing.get(id)?.grow(data.size, data.isWhole);
    const growth = data.isGrowing ? new Growth() : undefined;
    if (growth) growing.set(id, growth);
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
      const digests = await digestFile(data.request, { onBytes, growth });
      tell();
      scope.postMessage({ id, digests });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      scope.postMessage({ id, failure: { message, code } });
    } finally {
      growing.delete(id);
    }
  };
}
