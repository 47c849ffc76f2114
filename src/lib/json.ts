import * as v from "valibot";
import { inLine } from "./words.ts";

/** The most that is read of a manifest, an index or a config, in bytes; as containers/image has it. */
export const MAX_JSON = 4 * 2 ** 20;
/** Manifests need 4 levels, configs 5. */
const MAX_DEPTH = 100;
/** More of them are no labels or annotations, and take fifty times their size in memory. */
const MAX_KEYS = 20_000;
/** Of objects and lists; a lock has ten for each image. */
const MAX_PARTS = 100_000;
/** Of all else; a list of tags has many. */
const MAX_VALUES = 200_000;
const MAX_REASON = 300;

/** What bytes that should be JSON are. */
export type ReadJson = { readonly json: unknown } | { readonly reason: string };

/**
 * Reads JSON that nobody vouches for. What two programs could read in two ways is refused, as
 * stowage and skopeo would see different images: a key that is there twice, a byte order mark.
 *
 * @param bytes The bytes.
 * @param limit How many there may be.
 * @param parts How many objects and lists they may hold.
 * @returns What they say, or why they are not read, to follow the name of the thing.
 */
export function readJson(
  bytes: Uint8Array,
  limit: number = MAX_JSON,
  parts: number = MAX_PARTS,
): ReadJson {
  if (bytes.length > limit) {
    return { reason: `has ${bytes.length} bytes, and at most ${limit} are read` };
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { reason: "is not UTF-8" };
  }
  if (text.startsWith("\uFEFF")) return { reason: "begins with a byte order mark, not with JSON" };
  const reason = findFault(text, parts);
  if (reason !== undefined) return { reason };
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { reason: "is not JSON" };
  }
}

/**
 * Reads JSON of a known form that nobody vouches for.
 *
 * @param schema Its form; a later version of that is told as such.
 * @param bytes The bytes.
 * @param limit How many there may be.
 * @returns What they say, or why they are not read, to follow the name of the thing.
 */
export function readAs<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
  limit?: number,
): { readonly value: v.InferOutput<Schema> } | { readonly reason: string } {
  const read = readJson(bytes, limit);
  if ("reason" in read) return read;
  const isLater = v.is(v.object({ schema: v.pipe(v.number(), v.minValue(2)) }), read.json);
  if (isLater) return { reason: "is of a later version: take a stowage as new as its maker's" };
  const { success, output, issues } = v.safeParse(schema, read.json, { abortEarly: true });
  return success ? { value: output } : { reason: `is not as it has to be: ${firstOf(issues)}` };
}

/** Before it is parsed, as four million brackets would become four million lists. */
function findFault(text: string, most: number): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let [parts, values] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "{" || char === "[") {
      if (open.push(char === "{" ? new Set() : undefined) > MAX_DEPTH) {
        return `is nested deeper than ${MAX_DEPTH} levels`;
      }
      if (++parts > most) return `holds more than ${most} objects and lists`;
    } else if (char === ",") {
      if (++values > MAX_VALUES) return `holds more than ${MAX_VALUES} values`;
    } else if (char === "}" || char === "]") {
      open.pop();
    } else if (char === '"') {
      const end = endOfString(text, at);
      const key = isKey(text, end) ? unquote(text.slice(at, end)) : undefined;
      const keys = open.at(-1);
      if (key !== undefined && keys?.has(key)) {
        return `has the key ${clip(JSON.stringify(key))} twice`;
      }
      if (key !== undefined) keys?.add(key);
      if (keys && keys.size > MAX_KEYS) return `has more than ${MAX_KEYS} keys in one place`;
      at = end - 1;
    }
  }
  return undefined;
}

/** Behind the closing quote; the end of the text if there is none. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (/[ \t\r\n]/.test(text[at] ?? "")) at++;
  return text[at] === ":";
}

function unquote(quoted: string): string | undefined {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined; // what is wrong with it is for JSON.parse to find
  }
}

/**
 * Says what a schema found in what nobody vouches for, in few words and without control characters.
 *
 * @param issues What it found.
 * @returns The first of it, with its path.
 */
export function firstOf([issue]: [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]]): string {
  const path = (issue.path ?? []).map((item) => String(item.key)).join(".");
  const isMissing = issue.received === "undefined" || (path && issue.received === "null");
  const message = isMissing ? "is missing" : issue.message;
  return clip(`${path && `${path}: `}${message}`);
}

/**
 * Makes text that nobody vouches for short, and safe to show within a line.
 *
 * @param text Any text.
 * @returns Its beginning.
 */
export function clip(text: string): string {
  return inLine(text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text);
}

/**
 * A key as Go compares it: without case, so that skopeo takes `"Layers"` for `"layers"`.
 *
 * @param key Any key of an object.
 * @returns The same text for all keys that Go takes for one.
 */
export function foldKey(key: string): string {
  return key.toUpperCase().toLowerCase();
}
