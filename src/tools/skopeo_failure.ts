import type { AttemptReason } from "../errors.ts";

/** What a failure of skopeo means for the item that it was run for. */
export interface SkopeoFailure {
  /**
   * A reason of absence lets the next place be tried; `content` (wrong bytes), `policy` (signature
   * refused), `full`, `read-only` and `other` do not.
   */
  readonly kind: AttemptReason | "content" | "policy" | "full" | "read-only" | "other";
  /** Whether the same may work in a moment. */
  readonly isTransient: boolean;
  /** skopeo's own words, without its log format. */
  readonly message: string;
}

type Row = readonly [words: RegExp, kind: SkopeoFailure["kind"], isTransient?: boolean];

/** What is wrong comes before what is absent, so that wrong content never passes for absence. */
const WRONG: readonly Row[] = [
  [/no space left on device|disk quota exceeded/i, "full"],
  [/read-only file system/i, "read-only"],
  [/digest did not match|does not match (provided manifest |)digest|digest mismatch/i, "content"],
  [/blob size mismatch|invalid character .* looking for beginning of value/i, "content"],
  [/source image rejected/i, "policy"],
];

/** What registries and the network say, in the words of containers/image and Go's net. */
const ABSENT_REMOTE: readonly Row[] = [
  // skopeo has waited for as long as Retry-After says, five times, before it gives up on a 429.
  [/toomanyrequests|too many requests|rate limit/i, "rate-limited"],
  [/manifest unknown|name unknown|blob unknown|not found|status(?: code)?:? 404/i, "unknown"],
  [/unauthorized|authentication required|denied|status(?: code)?:? 40[13]/i, "denied"],
  [/x509:|tls: |server gave HTTP response to HTTPS client/i, "unreachable"],
  [/no such host|no route to host|network is unreachable/i, "unreachable"],
  [/status(?: code)?:? 5\d\d|internal server error|bad gateway/i, "unreachable", true],
  [/service unavailable|gateway time-?out|server misbehaving/i, "unreachable", true],
  [/connection refused|connection reset|broken pipe|use of closed/i, "unreachable", true],
  [/timeout|deadline exceeded|\bEOF\b|http2: /i, "unreachable", true],
];

/** What storages, folders and archives of this machine say. */
const ABSENT_LOCAL: readonly Row[] = [
  [/does not resolve to an image|not an image|no image found|not found/i, "unknown"],
  [/no such file or directory|no descriptor found|no instance found/i, "unknown"],
  [/permission denied/i, "denied"],
];

/**
 * Reads what skopeo said when it failed.
 *
 * @param stderr The last of its standard error.
 * @param image The image that it was run for, as `transport:details`.
 * @returns What kind of failure it is, whether to try again, and the message.
 */
export function readFailure(stderr: string, image: string): SkopeoFailure {
  const message = plainMessage(stderr);
  const isRemote = image.startsWith("docker://");
  // A repository may be called "denied": names must not be taken for reasons.
  const name = image.replace(/^docker:\/\/|@sha256:.*$/g, "");
  const words = message.replaceAll(image, "").replaceAll(name, "").replaceAll(pathOf(name), "/");
  const rows = [...WRONG, ...(isRemote ? ABSENT_REMOTE : ABSENT_LOCAL)];
  const [, kind = "other", isTransient = false] = rows.find(([row]) => row.test(words)) ?? [];
  return { kind, isTransient, message };
}

/** `/path/` of `host/path:tag`, as URLs have it. */
function pathOf(name: string): string {
  return `/${name.replace(/^[^/]*\//, "").replace(/:[^:/]*$/, "")}/`;
}

/** skopeo logs in logfmt, `time="…" level=fatal msg="…"`; its last line tells why it failed. */
function plainMessage(stderr: string): string {
  const last = stderr.trim().split("\n").findLast((line) => line.includes("level=fatal")) ?? stderr;
  const quoted = /msg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1];
  if (quoted === undefined) return last.trim() || "it said nothing";
  const text = quoted.replace(/\\n/g, " ").replace(/\\(.)/g, "$1").trim();
  return text.replace(
    /^Error (?:parsing image name|initializing source|reading manifest) "?[^"\s]*"?: /,
    "",
  );
}
