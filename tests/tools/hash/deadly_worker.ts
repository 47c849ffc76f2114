/** Hashes as a thread does, and dies of a file that is called so. */
import "../../../src/tools/hash/digest_worker.ts";

globalThis.addEventListener("message", (event) => {
  if (event instanceof MessageEvent && JSON.stringify(event.data).includes("deadly")) {
    throw new Error("it dies");
  }
});
