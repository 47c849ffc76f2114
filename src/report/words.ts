import { format as formatBytes } from "@std/fmt/bytes";
import type { ReportImage, ReportTrust } from "./report.ts";
import { count } from "../lib/words.ts";

/** How a person reads a size, in bytes. */
export function sizeText(bytes: number): string {
  return formatBytes(bytes);
}

/** As much of a digest as a person compares, without what all of them begin with. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

/** What an image is called: by its sources, or else by where it came from. */
export function nameText({ names, reference }: ReportImage): string {
  return names.join(", ") || reference || "(unknown)";
}

/** A moment as a person reads it, in UTC. */
export function timeText(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}

const UNITS = [
  ["year", 365 * 86_400_000],
  ["month", 30 * 86_400_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

/** How old something is, in whole units. */
export function ageText(time: string, now: string): string {
  const age = Date.parse(now) - Date.parse(time);
  const [unit, length] = UNITS.find(([, length]) => age >= length) ?? ["second", 1000];
  return count(Math.max(0, Math.floor(age / length)), unit);
}

/** When an image was made: what is dated to 1980 or before was dated by a program. */
export function madeText({ created }: ReportImage, now: string): string | undefined {
  if (created === undefined || created < "1980-01-02") return undefined;
  return ageText(created, now);
}

/** How long something took. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

const ASKS: Readonly<Record<string, string>> = {
  insecureAcceptAnything: "accepts any image",
  reject: "rejects all images",
  signedBy: "asks for a GPG signature",
  sigstoreSigned: "asks for a sigstore signature",
};

/** What a policy asks for, as one sentence without its end. */
export function asksText({ asks, where }: ReportTrust): string {
  const words = asks.map(({ type, keys }) => {
    const by = keys.length > 0 ? ` by ${keys.join(" or ")}` : "";
    return `${ASKS[type] ?? `asks for ${type}`}${by}`;
  });
  return `${where || "the policy"} ${words.join(", ") || "cannot be read"}`;
}

/** Whether a policy takes any image, so that nothing is said by that. */
export function asksNothing({ asks }: ReportTrust): boolean {
  return asks.every(({ type }) => type === "insecureAcceptAnything");
}

/** The signatures that are kept with an image. */
export function signaturesText({ signatures }: ReportImage): string {
  if (signatures.length === 0) return "no signatures";
  const kinds = [...new Set(signatures)].join(", ");
  return `${count(signatures.length, "signature")} (${kinds})`;
}

/** The place that served an image, where it is not the one that the config names first. */
export function otherPlace({ from, reference, mirror }: ReportImage): string | undefined {
  if (mirror !== undefined) return mirror;
  if (from === undefined || reference === undefined) return from;
  return repositoryOf(from) === repositoryOf(reference) ? undefined : from;
}

function repositoryOf(place: string): string {
  return place.replace(/@sha256:[0-9a-f]*$/, "").replace(/:[\w.-]+$/, "");
}
