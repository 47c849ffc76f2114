import { resolve } from "@std/path";
import { format as formatBytes } from "@std/fmt/bytes";
import type { PushPlan, PushResult } from "../../carry/push.ts";
import { UsageError } from "../../errors/mod.ts";
import { plain } from "../../lib/words.ts";
import type { PushOptions } from "../../stowage.ts";
import { columns } from "../columns.ts";
import type { Command } from "../command.ts";
import type { ParsedFlags } from "../flags.ts";
import { onlyNotes, shortId } from "../reporter.ts";
import { bold, dim, green, yellow } from "../style.ts";
import { readTlsVerify, TLS_VERIFY } from "../tls_verify.ts";

/** `stowage push`. */
export const push: Command = {
  usage: "[SOURCE…] --to REGISTRY[/PATH]",
  summary: "pushes sources to a registry, as they are; fetches what the store does not have",
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
    { name: "cert-dir", value: "DIR", help: "CA and client certificates (likewise)" },
    { name: "dry-run", help: "only tell what would be sent" },
  ],
  examples: [
    { line: "push --to registry.site:5000", does: "all sources, each under its own path" },
    { line: "push web --to registry.site/mirror --dry-run", does: "what that would send" },
    {
      line: "push --to registry.site --map docker.io/library=hub",
      does: "docker.io/library/nginx as registry.site/hub/nginx",
    },
  ],
  completes: "sources",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const options = { ...readOptions(flags), names: flags.words, signal };
    const stowage = await load();
    const isText = !isJson && !isQuiet;
    if (flags.has("dry-run")) {
      const listen = isJson ? onEvent : onlyNotes(onEvent);
      const plan = await stowage.planPush({ ...options, onEvent: listen });
      if (isText) terminal.out(showPlan(plan));
      return { ok: true, dryRun: true, ...plan };
    }
    const result = await stowage.push({ ...options, onEvent });
    if (isText) terminal.out(show(result));
    return { ok: true, dryRun: false, ...result };
  },
};

function readOptions(flags: ParsedFlags): PushOptions {
  const [to, tlsVerify] = [flags.text("to"), readTlsVerify(flags)];
  const [authFile, certDir] = [flags.text("authfile"), flags.text("cert-dir")];
  if (to === undefined) {
    throw new UsageError("Cannot push: no registry is named", { hint: "say --to REGISTRY" });
  }
  return {
    to,
    map: flags.list("map"),
    ...(tlsVerify !== undefined && { tlsVerify }),
    ...(authFile !== undefined && { authFile: resolve(authFile) }),
    ...(certDir !== undefined && { certDir: resolve(certDir) }),
  };
}

function show({ images, traffic: { sent, mounted, present } }: PushResult): string {
  const rows = images.map(({ name, status, target, digest, platforms }) => [
    bold(name),
    status === "pushed" ? green(status) : dim(status),
    plain(target),
    platforms.join(", "),
    dim(shortId(digest)),
  ]);
  const bytes = [
    `${formatBytes(sent)} sent`,
    ...(mounted > 0 ? [`${formatBytes(mounted)} taken from other repositories`] : []),
    ...(present > 0 ? [`${formatBytes(present)} there already`] : []),
  ];
  return [...rows.length > 0 ? [columns(rows)] : [], bytes.join(", ")].join("\n");
}

function showPlan({ sources, bytes, fetch }: PushPlan): string {
  const rows = sources.map(({ name, status, target, bytes, digest }) => [
    status === "push" ? yellow(status) : green(status),
    bold(name),
    plain(target),
    formatBytes(bytes),
    dim(shortId(digest)),
  ]);
  const first = fetch > 0 ? `${formatBytes(fetch)} to fetch, ` : "";
  const total = `${first}${formatBytes(bytes)} to send`;
  return [...rows.length > 0 ? [columns(rows)] : [], total].join("\n");
}
