import { STATUS_CODES } from "node:http";
import type { AttemptReason } from "../errors/mod.ts";
import { judgeStatus } from "../lib/status.ts";
import { formatImage, type SkopeoImage } from "./skopeo_args.ts";
import { skopeoWords } from "./skopeo_words.ts";

/** What a failure of skopeo means for the item that it was run for. */
export interface SkopeoFailure {
  /**
   * A reason of absence lets the next place be tried; `content` (wrong bytes), `policy` (signature
   * refused), `full`, `read-only`, `machine` (a file of this machine) and `other` do not.
   */
  readonly kind: AttemptReason | "content" | "policy" | "full" | "read-only" | "machine" | "other";
  /** Whether the same may work in a moment. */
  readonly isTransient: boolean;
  /** Whether it is the manifest that could not be read. */
  readonly isOfManifest: boolean;
  /** skopeo's own words, without its log format. */
  readonly message: string;
}

type Kind = SkopeoFailure["kind"];
type Row = readonly [words: RegExp, kind: Kind, isTransient?: boolean];
type Verdict = Pick<SkopeoFailure, "kind" | "isTransient">;

/** Files of this machine that skopeo cannot use; what it says of them could be of a registry too. */
const OF_MACHINE: readonly Row[] = [
  [/\bloading (?:drop-in )?registries configuration\b/, "machine"],
  [/\binvalid policy in |\bparsing \/.*\.yaml: /, "machine"],
  [/\bmissing (?:key \S+ for client certificate|client certificate \S+ for key)\b/, "machine"],
  [/\bunmarshaling JSON at "\//, "machine"],
  [/\bregistry \S* ?is blocked in /, "denied"],
];

/** What is wrong comes before what is absent, so that wrong content never passes for absence. */
const WRONG: readonly Row[] = [
  [/no space left on device|disk quota exceeded/i, "full"],
  [/read-only file system/i, "read-only"],
  [/digest did not match|digest mismatch|digest \S+ does not match/i, "content"],
  [/does not match (?:provided manifest )?digest|blob size mismatch/i, "content"],
  [/file integrity checksum failed|exceeded maximum allowed size/i, "content"],
  [/image from source.*(?:invalid character|unexpected end of JSON|cannot unmarshal)/i, "content"],
  // It is served as of docker's type, and says another, or none.
  [/v2s2 media type: "(?:"|application\/vnd\.oci\.image\.(?:manifest|index))/, "content"],
  [/source image rejected/i, "policy"],
];

/** What registries and the network say, in the words of containers/image and Go's net. */
const ABSENT_REMOTE: readonly Row[] = [
  [/\b(?:readdirent|open) \/.*: not a directory$/, "machine"],
  [/toomanyrequests|too many requests|rate limit/i, "rate-limited"],
  [/(?:manifest|name|blob) unknown|not found/i, "unknown"],
  // A file of this machine, such as that with the credentials.
  [/permission denied|getting username and password/i, "other"],
  [/unauthorized|authentication required|denied/i, "denied"],
  [/x509:|tls: |server gave HTTP response to HTTPS client/i, "unreachable"],
  [/no such host|no route to host|network is unreachable/i, "unreachable"],
  [/server misbehaving|temporary failure in name resolution/i, "unreachable", true],
  [/connection refused|connection reset|broken pipe|use of closed/i, "unreachable", true],
  [/timed? ?out|deadline exceeded|\bEOF\b|http2: |transport connection/i, "unreachable", true],
  // What answers is no registry.
  [/malformed HTTP|stopped after \d+ redirects|unsupported protocol scheme/i, "unreachable"],
  [
    /invalid (?:control )?character|cannot unmarshal|missing realm|unsupported schema version/i,
    "unreachable",
  ],
  [/pinging container/i, "unreachable"], // the rest may be taken for a name
  [/\breading : unknown(?::|$)/, "unreachable"], // of a manifest: an error that OCI has no code for
];

/** What is said of docker daemons, on this machine or another. */
const ABSENT_DAEMON: readonly Row[] = [
  [/permission denied while trying to connect to the docker/i, "denied"],
  [/connect to the docker (?:daemon|API) at|error during connect/i, "unreachable"],
  [/no such image|image not known/i, "unknown"],
];

/** What storages, folders and archives of this machine say. */
const ABSENT_LOCAL: readonly Row[] = [
  [/invalid character|unexpected end of JSON|unexpected EOF|invalid tar header/i, "content"],
  [/does not resolve to an image|not an image|no image found|not found/i, "unknown"],
  [/no such file|not a directory|is a directory|file does not exist/i, "unknown"],
  [/no descriptor found|no instance found/i, "unknown"],
  [/permission denied/i, "denied"],
];

/**
 * Reads what skopeo said when it failed.
 *
 * @param stderr The last of its standard error.
 * @param of The image that it was run for, and whether that takes the network.
 * @returns What kind of failure it is, whether to try again, and the message.
 */
export function readFailure(
  stderr: string,
  of: { readonly image: SkopeoImage; readonly isRemote: boolean },
): SkopeoFailure {
  const image = formatImage(of.image);
  const text = lastWords(stderr);
  const message = skopeoWords(withoutGo(withoutPrefix(text, image)))
    .replace(/^exceeded maximum/, "the manifest $&");
  const verdict = judge(withoutNames(text, image), of.isRemote);
  return {
    ...verdict,
    // A signature may be of content that "does not match".
    ...message.startsWith("Source image rejected: ") && { kind: "policy" },
    isOfManifest: message.startsWith("reading manifest "),
    message,
  };
}

function judge(words: string, isRemote: boolean): Verdict {
  const status = isRemote && readStatus(words);
  if (status) {
    const { reason, isTransient } = judgeStatus(status);
    // skopeo has waited for as long as Retry-After says, five times, before it gives up on a 429.
    return { kind: reason, isTransient: isTransient && status !== 429 };
  }
  const rows = [
    ...OF_MACHINE,
    ...WRONG,
    ...ABSENT_DAEMON,
    ...(isRemote ? ABSENT_REMOTE : ABSENT_LOCAL),
  ];
  const [, kind = "other", isTransient = false] = rows.find(([row]) => row.test(words)) ?? [];
  return { kind, isTransient };
}

/** The status of an answer; what follows it may be the answer's body, which could say anything. */
function readStatus(words: string): number | undefined {
  const before = /(?:status(?: ?code)?(?: from registry)?:?|error parsing HTTP) (\d{3})\b/i;
  const [, status] = before.exec(words) ?? [];
  // A 200 is told of as well, where it answers a request for the rest of a blob.
  if (status !== undefined && !["200", "206"].includes(status)) return Number(status);
  // Of a proxy that does not connect, Go says the words only: `Get "https://a.io/v2/": Forbidden`.
  const [, phrase] = /\bGet : ([A-Z][\w' -]+)$/.exec(words) ?? [];
  const entry = Object.entries(STATUS_CODES).find(([, known]) => known === phrase);
  return entry && Number(entry[0]);
}

/** A repository may be called "denied", a host "timeout": names must not be taken for reasons. */
function withoutNames(text: string, image: string): string {
  const details = image.replace(/^[^:]*:(?:\/\/)?/, "");
  const repository = details.replace(/@sha256:[0-9a-f]*$/, "").replace(/:[^:/]*$/, "");
  return [image, details, repository]
    .reduce((words, name) => name ? words.replaceAll(name, "") : words, text)
    .replace(/"https?:\/\/[^"]*"|\bmanifest \S+ in |\bregistry \S+: |\blookup \S+ /g, "");
}

/** skopeo logs in logfmt, `time="…" level=fatal msg="…"`; its last line tells why it failed. */
function lastWords(stderr: string): string {
  const last = stderr.trim().split("\n").findLast((line) => line.includes("level=fatal")) ?? stderr;
  const quoted = /msg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1];
  if (quoted === undefined) return last.trim() || "it said nothing";
  return quoted.replace(/\\[nt]/g, " ").replace(/\\(.)/g, "$1").trim();
}

/** What it was doing, and with which image, is known. */
function withoutPrefix(text: string, image: string): string {
  const doing = /^(?:Error )?(?:parsing image name|initializing source|reading manifest) /;
  const rest = text.replace(doing, "");
  const prefix = [`"${image}": `, `${image}: `, `${image}:: `].find((each) =>
    rest.startsWith(each)
  );
  return prefix ? rest.slice(prefix.length) : text;
}

/** skopeo prints what gpgme knows of a signature as Go does; 9 is gpg's code of an unknown key. */
function withoutGo(text: string): string {
  const dump = /Invalid GPG signature: gpgme\.Signature\{.*?Fingerprint:"(\w+)".*?err:0x(\w+).*\}/;
  return text.replace(
    dump,
    (_, key: string, code: string) =>
      (parseInt(code, 16) & 0xffff) === 9
        ? `it is signed by the key ${key}, which is none of those it needs`
        : `its signature by the key ${key} is not valid`,
  );
}
