import { format as formatBytes } from "@std/fmt/bytes";
import type { ListedReferrer, StoredImage } from "../../maintain/list_images.ts";
import { columns } from "../columns.ts";
import type { Command } from "../command.ts";
import { plain } from "../../lib/words.ts";
import { shortId } from "../reporter.ts";
import { bold, dim, yellow } from "../style.ts";

/** `stowage ls`. */
export const ls: Command = {
  usage: "[NAME…]",
  summary: "lists the images in the store",
  flags: [],
  examples: [
    { line: "ls", does: "all of them" },
    { line: "ls web 3f9a1c", does: "the images of a source, and one by the beginning of its id" },
    { line: "ls --store /srv/store", does: "of another store; no config is needed" },
  ],
  completes: "sources",
  async run({ load, flags, terminal, isJson, isQuiet }) {
    const stowage = await load({ isOptional: true, lock: "optional" });
    const images = await stowage.list({ names: flags.words });
    if (!isJson && !isQuiet) {
      terminal.out(images.length > 0 ? show(images) : "The store has no images");
    }
    return { ok: true, images };
  },
};

const HEAD = ["ID", "NAME", "PLATFORM", "SIZE", "OWN", "FETCHED", "USED", "FORMAT"];

function show(images: readonly StoredImage[]): string {
  const rows = images.flatMap((image) => [[
    dim(shortId(image.id)),
    bold(plain(image.names.join(", ") || image.references.at(-1) || "(unknown)")),
    plain(image.platform ?? ""),
    formatBytes(image.size),
    formatBytes(image.own),
    agoOf(image.fetched),
    agoOf(image.used),
    image.formats.join(", ") + (image.complete ? "" : yellow(" (not whole)")),
  ], ...(image.referrers ?? []).map(showReferrer)]);
  return columns([HEAD.map((title) => dim(title)), ...rows]);
}

/** Below the image that it refers to. */
function showReferrer({ digest, kind, size }: ListedReferrer): string[] {
  return [dim(shortId(digest)), `  ${plain(kind)}`, "", formatBytes(size), "", "", "", "referrer"];
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000]] as const;

function agoOf(date: string | undefined): string {
  if (date === undefined) return "";
  const age = Date.now() - Date.parse(date);
  const [unit, length] = UNITS.find(([, length]) => age >= length) ?? ["s", 1000];
  return `${Math.max(0, Math.floor(age / length))} ${unit} ago`;
}
