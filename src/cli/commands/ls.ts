import { format as formatBytes } from "@std/fmt/bytes";
import type { ListedArtifact } from "../../maintain/list_artifacts.ts";
import type { ListedReferrer, StoredImage } from "../../maintain/list_images.ts";
import type { Graph } from "../../graph/node.ts";
import { inputKind } from "../../inputs/mod.ts";
import { columns } from "../columns.ts";
import type { Command } from "../command.ts";
import { plain } from "../../lib/words.ts";
import { shortId } from "../reporter.ts";
import { bold, dim, yellow } from "../style.ts";

/** `stowage ls`. */
export const ls: Command = {
  usage: "[NAME…]",
  flags: [],
  examples: [
    { line: "ls", does: "all of them" },
    { line: "ls web 3f9a1c", does: "the images of a source, and one by the beginning of its id" },
    { line: "ls --store /srv/store", does: "of another store; no config is needed" },
  ],
  completes: "sources",
  async run({ load, flags, terminal, isJson, isQuiet }) {
    const stowage = await load({ isOptional: true, lock: "optional" });
    const all = await stowage.listArtifacts();
    const artifacts = flags.words.length === 0
      ? all
      : all.filter((one) => flags.words.some((word) => isNamed(one, word)));
    const names = flags.words.filter((word) => !all.some((one) => isNamed(one, word)));
    const isOfArtifacts = flags.words.length > 0 && names.length === 0;
    const images = isOfArtifacts ? [] : await stowage.list({ names });
    const onHost = flags.words.length > 0 ? [] : imagesOfHost(stowage.graph);
    if (!isJson && !isQuiet) {
      const isEmpty = images.length + artifacts.length + onHost.length === 0;
      terminal.out(isEmpty ? "The store has no images" : show(images, artifacts, onHost));
    }
    return {
      ...{ ok: true, images },
      ...(artifacts.length > 0 && { artifacts }),
      ...(onHost.length > 0 && { onHost }),
    };
  },
};

const HEAD = ["ID", "NAME", "PLATFORM", "SIZE", "OWN", "FETCHED", "USED", "FORMAT"];

/** An image that an input reads in a storage of this machine, and that is in no store. */
interface ImageOfHost {
  readonly input: string;
  readonly id: string;
  readonly names: readonly string[];
}

function imagesOfHost({ nodes }: Graph): ImageOfHost[] {
  return [...nodes.values()].flatMap((node) => {
    const image = node.kind === "input" && inputKind(node.input).hostImage?.(node.input);
    const names = image ? node.images.flatMap(({ names }) => names) : [];
    return image ? [{ input: node.name, id: image.id, names }] : [];
  });
}

function show(
  images: readonly StoredImage[],
  artifacts: readonly ListedArtifact[],
  onHost: readonly ImageOfHost[],
): string {
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
  const hosted = onHost.map(({ input, id }) => [
    ...[dim(shortId(id)), bold(plain(input)), "", "", "", "", "", "on this machine"],
  ]);
  return columns([
    HEAD.map((title) => dim(title)),
    ...rows,
    ...artifacts.map(showArtifact),
    ...hosted,
  ]);
}

/** By a name of the config, with its tag or without, or by the beginning of its digest. */
function isNamed({ names, digest }: ListedArtifact, word: string): boolean {
  const start = word.replace(/^sha256:/, "");
  return names.some((name) => name === word || name.startsWith(`${word}:`)) ||
    (/^[0-9a-f]{6,}$/.test(start) && digest.startsWith(`sha256:${start}`));
}

function showArtifact(
  { digest, names, references, kind, size, fetched, used, complete }: ListedArtifact,
): string[] {
  return [
    dim(shortId(digest)),
    bold(plain(names.join(", ") || references.at(-1) || "(unknown)")),
    "",
    formatBytes(size),
    formatBytes(size),
    agoOf(fetched),
    agoOf(used),
    plain(kind ?? "artifact") + (complete ? "" : yellow(" (not whole)")),
  ];
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
