/** What a request is for. */
export type RequestKind =
  | "manifests"
  | "heads"
  | "blobs"
  | "uploads"
  | "tokens"
  | "pings"
  | "redirects";

/** How many requests were sent. */
export type RequestCounts = { readonly [Kind in RequestKind | "total"]: number };

/** Counts requests. */
export class RequestCounter implements RequestCounts {
  /** GETs of manifests and indexes. */
  manifests = 0;
  /** HEADs of manifests and indexes. */
  heads = 0;
  /** GETs of blobs. */
  blobs = 0;
  /** What is asked and sent to write a repository. */
  uploads = 0;
  /** Requests for tokens. */
  tokens = 0;
  /** Requests that only ask how to log in. */
  pings = 0;
  /** Requests that a redirect led to. */
  redirects = 0;

  /** All of them. */
  get total(): number {
    const { manifests, heads, blobs, uploads, tokens, pings, redirects } = this;
    return manifests + heads + blobs + uploads + tokens + pings + redirects;
  }

  /**
   * Counts one.
   *
   * @param kind What it is for.
   */
  add(kind: RequestKind): void {
    this[kind]++;
  }
}
