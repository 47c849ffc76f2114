import { format as formatBytes } from "@std/fmt/bytes";
import type { LockedImage } from "../../graph/lock_schema.ts";
import type { LockChange, LockedRule, LockResult } from "../../lockfile/make_lock.ts";
import { isLockResult } from "../../lockfile/update_lock.ts";
import { RunError, UsageError } from "../../errors/mod.ts";
import { columns } from "../columns.ts";
import { manifests } from "../manifests.ts";
import { plain } from "../../lib/words.ts";
import { onlyNotes } from "../reporter.ts";
import type { Command } from "../command.ts";
import { bold, dim, green, yellow } from "../style.ts";

/** `stowage lock`. */
export const lock: Command = {
  usage: "[SOURCE…]",
  flags: [
    {
      name: "check",
      help: "change nothing, ask no registry; exit with 4 if the lock does not fit the config",
    },
    {
      name: "update",
      help: "look up the tags again, of the sources named or of all, and move their pins",
    },
  ],
  examples: [
    { line: "lock", does: "pins what is not pinned yet; what is pinned stays" },
    { line: "lock --update web", does: 'looks up the tag of "web" again, and moves its pin' },
    { line: "lock --check", does: "does the lock fit the config? Asks no registry" },
  ],
  completes: "sources",
  async run({ load, lockPath, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    if (flags.has("check") && flags.has("update")) {
      throw new UsageError("Cannot check and update at a time: take one of --check and --update");
    }
    if (flags.has("check")) {
      await (await load()).checkLock({ names: flags.words });
      if (!isJson && !isQuiet) terminal.out("The lock fits the config");
      return { ok: true };
    }
    const run = { names: flags.words, signal, onEvent: isJson ? onEvent : onlyNotes(onEvent) };
    const path = await lockPath();
    const stowage = await load({ lock: "ignored" });
    const tell = (result: LockResult) => {
      if (!isJson && !isQuiet) terminal.out(show(result, path));
    };
    try {
      const result = await stowage.lock(path, { ...run, update: flags.has("update") });
      tell(result);
      return { ok: true, path, ...result };
    } catch (error) {
      // What could be pinned is; "Nothing has changed" would be said of the rest.
      if (error instanceof RunError && isLockResult(error.result)) {
        const { changes, artifacts, rules } = error.result;
        if (changes.length + artifacts.length + rules.length > 0) tell(error.result);
      }
      throw error;
    }
  },
};

function show({ changes, artifacts, rules, requests }: LockResult, path: string): string {
  const rows = [...rules.map(ruleRow), ...changes.map(row), ...artifacts.map(row)];
  const total = rows.length === 0 ? "Nothing has changed" : `Wrote ${plain(path)}`;
  return [...(rows.length > 0 ? [columns(rows)] : []), `${total} (${manifests(requests)})`].join(
    "\n",
  );
}

function row({ name, change, from, to, index, reference }: Changed): string[] {
  const colored = change === "added" ? green(change) : yellow(change);
  const sizes = [from, to].flatMap((image) =>
    image?.size === undefined ? [] : [formatBytes(image.size)]
  );
  const digests = [from, to].flatMap((image) => image ? [short(image.digest)] : []);
  const indexes = [index?.from, index?.to].map((digest) => digest ? short(digest) : "none");
  return [
    colored,
    bold(name),
    dim([...new Set(digests)].join(" → ")),
    [...new Set(sizes)].join(" → "),
    ...(index ? [dim(`index ${indexes.join(" → ")}`)] : []),
    ...(reference ? [dim(plain(`${reference.from} → ${reference.to}`))] : []),
  ];
}

/** What is shown of an image, or of an artifact. */
type Changed =
  & Pick<LockChange, "name" | "change" | "index" | "reference">
  & { readonly from?: Locked; readonly to?: Locked };
type Locked = Pick<LockedImage, "digest" | "size">;

function ruleRow({ name, from, to }: LockedRule): string[] {
  const change = !from ? green("added") : yellow(to ? "changed" : "removed");
  return [change, bold(name), dim(plain((to ?? []).join(", "))), "", dim("tags by its rule")];
}

/** As much of a digest as a person compares. */
function short(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}
