import { format as formatBytes } from "@std/fmt/bytes";
import type { FindingProblem } from "../../finding.ts";
import type { VerifyResult } from "../../maintain/verify.ts";
import type { Command } from "../command.ts";
import { exitCodeOfFindings } from "../exit_code.ts";
import { showFinding, showLeft } from "../reporter.ts";
import { count } from "../../lib/words.ts";

/** `stowage verify`. */
export const verify: Command = {
  usage: "[NAME…]",
  flags: [{ name: "repair", help: "fetch what is damaged or missing, and put it back" }],
  examples: [
    { line: "verify", does: "all of the store" },
    { line: "verify web", does: "the images of a source" },
    { line: "verify --repair", does: "fetches again what is damaged or missing" },
  ],
  completes: "sources",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const stowage = await load({ isOptional: true, lock: "optional" });
    const repair = flags.has("repair");
    const result = await stowage.verify({ names: flags.words, repair, onEvent, signal });
    const { findings, left = findings } = result;
    const ok = left.length === 0;
    if (!isJson) {
      if (isQuiet) { for (const line of problemsOf(result)) terminal.err(line); }
      else terminal.out(show(result));
    }
    return { ok, exitCode: exitCodeOfFindings(left), ...result };
  },
};

function problemsOf({ findings, left }: VerifyResult): string[] {
  return left?.map(showLeft) ?? findings.map(showFinding);
}

function show({ findings, repaired, left, images, files, trees, bytes }: VerifyResult): string {
  const counted = [
    count(images, "image"),
    ...(trees > 0 ? [count(trees, "tree")] : []),
    `${count(files, "file")} hashed (${formatBytes(bytes)})`,
  ].join(", ");
  if (findings.length === 0) return `No problems found: ${counted}`;
  const number = (problem: FindingProblem) =>
    findings.filter((finding) => finding.problem === problem).length;
  const [missing, unread] = [number("missing"), number("unreadable")];
  const damaged = findings.length - missing - unread;
  const parts = [
    ...(damaged > 0 ? [`${damaged} damaged`] : []),
    ...(missing > 0 ? [`${missing} missing`] : []),
    ...(unread > 0 ? [`${unread} not readable`] : []),
    ...(repaired?.length ? [`${repaired.length} repaired`] : []),
    ...(left?.length ? [`${left.length} not repaired`] : []),
  ];
  const hint = repaired ? "" : `\n  → run ${hintFor(findings)}`;
  return `${parts.join(", ")}: ${counted}${hint}`;
}

/** What only stages make is nowhere to be fetched from. */
function hintFor(findings: VerifyResult["findings"]): string {
  if (findings.every(({ problem }) => problem === "unreadable")) {
    return "it again once it can be read, or with `--repair` where the disk has lost it";
  }
  const made = findings.filter(({ kind }) => kind === "tree" || kind === "archive").length;
  const build = "`stowage build`, which makes again what stages have made";
  if (made === findings.length) return build;
  const fetch = "`stowage verify --repair`, or `stowage fetch`";
  return made > 0 ? `${fetch}, and ${build}` : fetch;
}
