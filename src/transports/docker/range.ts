import type { HttpAnswer } from "./requester.ts";

/** Which part of a blob an answer has. */
export interface BlobRange {
  /** Where in the blob its body begins. */
  readonly offset: number;
  /** Size of the whole blob in bytes, where it is said. */
  readonly size: number | undefined;
}

/**
 * Reads which part of a blob an answer has.
 *
 * @param answer The answer to a request for a blob.
 * @param asked The byte from which on it was asked for.
 * @returns The part, or `undefined` if it is not what was asked for.
 */
export function readRange(
  { status, headers }: Pick<HttpAnswer, "status" | "headers">,
  asked: number,
): BlobRange | undefined {
  if (status === 200) return { offset: 0, size: readSize(headers.get("content-length")) };
  if (status !== 206) return undefined;
  const parts = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range")?.trim() ?? "");
  if (Number(parts?.[1] ?? NaN) !== asked) return undefined;
  return { offset: asked, size: readSize(parts?.[2] ?? null) };
}

/** Bytes, where a host says them. */
function readSize(text: string | null): number | undefined {
  return text && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
