import { dirname, join, resolve } from "@std/path";
import { format as formatBytes } from "@std/fmt/bytes";
import { MIRROR_FORMATS, type MirrorFile, parseMirrorFormat } from "../../carry/mirror_config.ts";
import type { Pruned } from "../../carry/prune.ts";
import type { PushPlan, PushResult } from "../../carry/push.ts";
import { UsageError } from "../../errors/mod.ts";
import { guard, writeAtomically } from "../../lib/fs/files.ts";
import { refuseOddOutput } from "../../lib/fs/outside_file.ts";
import { count, plain } from "../../lib/words.ts";
import type { PushOptions } from "../../sdk.ts";
import { columns } from "../columns.ts";
import type { Command } from "../command.ts";
import type { ParsedFlags } from "../flags.ts";
import { readPrunePlan, writePrunePlan } from "../prune_plan.ts";
import { onlyNotes, shortId } from "../reporter.ts";
import { bold, dim, green, yellow } from "../style.ts";
import { readTlsVerify, TLS_VERIFY } from "../tls_verify.ts";

/** `stowage push`. */
export const push: Command = {
  usage: "[SOURCE…] --to REGISTRY[/PATH]",
  flags: [
    { name: "to", value: "REGISTRY", help: "the registry, or a path in it" },
    {
      name: "map",
      value: "FROM=TO",
      isRepeatable: true,
      help: "another name there (docker.io/library=hub); may be repeated",
    },
    {
      ...TLS_VERIFY,
      help: "whether TLS is required there (as in registries of the config, or true)",
    },
    { name: "authfile", value: "FILE", help: "credentials (the config's or the machine's own)" },
    {
      name: "cert-dir",
      value: "DIR",
      help: "CA and client certificates (the config's or the machine's own)",
    },
    {
      name: "mirrors",
      value: "FORMAT",
      choices: MIRROR_FORMATS,
      help:
        "write settings by which the old names lead there: registries.conf, idms, k3s, containerd",
    },
    {
      name: "out",
      value: "FILE",
      alias: "o",
      help: "where --mirrors goes: a file, or a folder for containerd (standard output)",
    },
    {
      name: "state",
      value: "FILE",
      help: "keep in it what pushes have written there, for --prune",
    },
    { name: "prune", help: "delete what earlier pushes wrote and the config no longer has" },
    {
      name: "plan",
      value: "FILE",
      help:
        "with --prune: with --dry-run, write to it what would be deleted; else delete only that",
    },
    { name: "dry-run", help: "only tell what would be sent, and deleted" },
  ],
  examples: [
    { line: "push --to registry.site:5000", does: "all sources, each under its own path" },
    { line: "push web --to registry.site/mirror --dry-run", does: "what that would send" },
    {
      line: "push --to registry.site --map docker.io/library=hub",
      does: "docker.io/library/nginx as registry.site/hub/nginx",
    },
    {
      line: "push --to registry.site --mirrors registries.conf -o 50-site.conf",
      does: "and how podman finds docker.io/library/nginx there",
    },
    {
      line: "push --to registry.site --state site.json --prune --dry-run --plan plan.json",
      does: "what else would be deleted there",
    },
    {
      line: "push --to registry.site --state site.json --prune --plan plan.json",
      does: "deletes that, and nothing else",
    },
  ],
  completes: "sources",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const planFile = readPlanFlag(flags);
    const options = { ...readOptions(flags), names: flags.words, signal };
    const stowage = await load();
    const isText = !isJson && !isQuiet;
    const out = readOut(flags);
    if (flags.has("dry-run")) {
      const listen = isJson ? onEvent : onlyNotes(onEvent);
      const plan = await stowage.planPush({ ...options, onEvent: listen });
      if (planFile !== undefined) await writePrunePlan(planFile, plan.pruned ?? []);
      if (plan.mirrors && !isJson) terminal.out(showMirrors(plan.mirrors));
      else if (isText) terminal.out(showPlan(plan));
      return { ok: true, dryRun: true, ...plan };
    }
    const planned = planFile === undefined ? {} : { prune: await readPrunePlan(planFile) };
    const result = await stowage.push({ ...options, ...planned, onEvent });
    const { mirrors } = result;
    if (mirrors && out !== undefined) await writeMirrors(out, mirrors);
    if (mirrors && out === undefined && !isJson) terminal.out(showMirrors(mirrors));
    else if (isText) terminal.out(show(result));
    return { ok: true, dryRun: false, ...result, ...(out !== undefined && { path: out }) };
  },
};

function readOptions(flags: ParsedFlags): PushOptions {
  const [to, tlsVerify] = [flags.text("to"), readTlsVerify(flags)];
  const [authFile, certDir] = [flags.text("authfile"), flags.text("cert-dir")];
  const [mirrors, state] = [flags.text("mirrors"), flags.text("state")];
  if (to === undefined) {
    throw new UsageError("Cannot push: no registry is named", { hint: "say --to REGISTRY" });
  }
  return {
    to,
    map: flags.list("map"),
    ...(tlsVerify !== undefined && { tlsVerify }),
    ...(authFile !== undefined && { authFile: resolve(authFile) }),
    ...(certDir !== undefined && { certDir: resolve(certDir) }),
    ...(state !== undefined && { state: resolve(state) }),
    prune: flags.has("prune"),
    ...(mirrors !== undefined && { mirrors: parseMirrorFormat(mirrors) }),
  };
}

function readPlanFlag(flags: ParsedFlags): string | undefined {
  const plan = flags.text("plan");
  if (plan === undefined) return undefined;
  if (flags.has("prune")) return resolve(plan);
  throw new UsageError("Cannot use --plan without --prune", { hint: "see stowage push --help" });
}

function readOut(flags: ParsedFlags): string | undefined {
  const out = flags.text("out");
  if (out === undefined) return undefined;
  const other = flags.has("dry-run") ? "with --dry-run" : "without --mirrors";
  if (flags.has("dry-run") || flags.text("mirrors") === undefined) {
    throw new UsageError(`Cannot use --out ${other}`, { hint: "see stowage push --help" });
  }
  return resolve(out);
}

/** One file is what it is called; several have a folder each. */
async function writeMirrors(out: string, files: readonly MirrorFile[]): Promise<void> {
  for (const { path, text } of files) {
    const file = path.includes("/") ? join(out, path) : out;
    await refuseOddOutput(file);
    await guard("write", file, async () => {
      await Deno.mkdir(dirname(file), { recursive: true });
      await writeAtomically(file, text);
    });
  }
}

function showMirrors(files: readonly MirrorFile[]): string {
  return files.map(({ path, text }) => path.includes("/") ? `# ${path}\n${text}` : text)
    .join("\n").trimEnd();
}

function tables(rows: string[][], pruned: readonly Pruned[] = []): string[] {
  const old = pruned.map(({ status, target, digest, why }) => [
    status === "kept" ? dim(status) : yellow(status),
    plain(target),
    why ?? "",
    dim(shortId(digest)),
  ]);
  return [rows, old].filter(({ length }) => length > 0).map((each) => columns(each));
}

function show({ images, traffic: { sent, mounted, present }, pruned }: PushResult): string {
  const rows = images.map(({ name, status, target, digest, platforms, referrers = [] }) => [
    bold(name),
    status === "pushed" ? green(status) : dim(status),
    plain(target),
    platforms.join(", "),
    dim(shortId(digest)),
    referrers.length > 0 ? count(referrers.length, "referrer") : "",
  ]);
  const bytes = [
    `${formatBytes(sent)} sent`,
    ...(mounted > 0 ? [`${formatBytes(mounted)} taken from other repositories`] : []),
    ...(present > 0 ? [`${formatBytes(present)} there already`] : []),
  ];
  return [...tables(rows, pruned), bytes.join(", ")].join("\n");
}

function showPlan({ sources, bytes, fetch, pruned }: PushPlan): string {
  const rows = sources.map(({ name, status, target, bytes, digest, referrers = 0 }) => [
    status === "push" ? yellow(status) : green(status),
    bold(name),
    plain(target),
    formatBytes(bytes),
    dim(shortId(digest)),
    referrers > 0 ? count(referrers, "referrer") : "",
  ]);
  const first = fetch > 0 ? `${formatBytes(fetch)} to fetch, ` : "";
  const total = `${first}${formatBytes(bytes)} to send`;
  return [...tables(rows, pruned), total].join("\n");
}
