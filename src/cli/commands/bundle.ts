import { abortable } from "@std/async/abortable";
import { resolve } from "@std/path";
import { format as formatBytes } from "@std/fmt/bytes";
import type { CreatedBundle } from "../../carry/create_bundle.ts";
import type { WantedPiece } from "../../carry/discs.ts";
import type { LoadedBundle } from "../../carry/load_bundle.ts";
import type { BundleInfo, BundleOptions } from "../../carry/look_into_bundle.ts";
import { UsageError } from "../../errors/mod.ts";
import { count, plain } from "../../lib/words.ts";
import type { CreateBundleOptions, FarOptions } from "../../sdk.ts";
import type { SignedBy } from "../../tools/signing.ts";
import { columns } from "../columns.ts";
import type { Command, CommandContext, CommandResult } from "../command.ts";
import type { ParsedFlags } from "../flags.ts";
import { readSize } from "../quantity.ts";
import { onlyNotes, shortId, showImages } from "../reporter.ts";
import { bold, dim, green, yellow } from "../style.ts";
import { readTlsVerify, TLS_VERIFY } from "../tls_verify.ts";

/** What is done with a bundle. */
interface Action {
  /** The flags that it takes. */
  readonly flags: readonly string[];
  /** Does it, with the words behind its own. */
  run(context: CommandContext, words: readonly string[]): Promise<CommandResult>;
}

/** The flags of a registry there. */
const FAR = ["from", "map", "tls-verify", "authfile", "cert-dir"];

const ACTIONS: Readonly<Record<string, Action>> = {
  create: { flags: ["out", "since", "chunk", "sign"], run: create },
  load: { flags: ["verify-key", ...FAR], run: load },
  inspect: { flags: ["verify-key"], run: (context, words) => look(context, words, "inspect") },
  verify: { flags: ["verify-key"], run: (context, words) => look(context, words, "verify") },
  receipt: { flags: ["out", ...FAR], run: receipt },
};
const NAMES = Object.keys(ACTIONS);

/** `stowage bundle`. */
export const bundle: Command = {
  usage: `${NAMES.join("|")} [SOURCE…|FILE…]`,
  flags: [
    {
      name: "out",
      value: "FILE",
      alias: "o",
      help: "create, receipt: the file that is written",
    },
    {
      name: "since",
      value: "FILE",
      isRepeatable: true,
      help: "create: leave out what the store of this receipt has; may be repeated",
    },
    { name: "chunk", value: "SIZE", help: "create: in pieces of at most this size (4GB)" },
    {
      name: "sign",
      value: "KEY",
      help: "create: sign it, with the file of an OpenSSH key or with a key of gpg",
    },
    {
      name: "verify-key",
      value: "FILE",
      help: "load, inspect, verify: the public key that it has to be signed by",
    },
    {
      name: "from",
      value: "REGISTRY",
      help: "receipt: what this registry has; load: take layers that are left out from it",
    },
    {
      name: "map",
      value: "FROM=TO",
      isRepeatable: true,
      help: "receipt, load: another name there, as in push; may be repeated",
    },
    {
      ...TLS_VERIFY,
      help:
        "receipt, load: whether TLS is required there (as in registries of the config, or true)",
    },
    { name: "authfile", value: "FILE", help: "receipt, load: credentials for that registry" },
    { name: "cert-dir", value: "DIR", help: "receipt, load: its CA and client certificates" },
  ],
  examples: [
    { line: "bundle create -o site.tar", does: "all sources in one file" },
    {
      line: "bundle create -o site.tar --chunk 4GB --sign ~/.ssh/id_ed25519",
      does: "in pieces, signed",
    },
    { line: "bundle verify site.tar.001", does: "are all pieces there, and right?" },
    {
      line: "bundle load site.tar.001 --verify-key id_ed25519.pub",
      does: "into the store, at the other side",
    },
    {
      line: "bundle load /media/cdrom/site.tar.002",
      does: "the next disc, where only one fits in",
    },
    { line: "bundle receipt -o there.json", does: "what the store there has" },
    {
      line: "bundle receipt -o there.json --from registry.site:5000",
      does: "or a registry there, of the sources of the config",
    },
    {
      line: "bundle create -o next.tar --since there.json",
      does: "only what that store does not have",
    },
  ],
  completes: NAMES,
  async run(context) {
    const { flags } = context;
    const [name = "", ...words] = flags.words;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) {
      throw new UsageError(`Cannot do "${name}" with a bundle: expected ${NAMES.join(", ")}`, {
        hint: "see stowage bundle --help",
      });
    }
    for (const { name: flag, isRepeatable } of bundle.flags) {
      const isGiven = isRepeatable ? flags.list(flag).length > 0 : flags.text(flag) !== undefined;
      if (action.flags.includes(flag) || !isGiven) continue;
      throw new UsageError(`Cannot use --${flag} with bundle ${name}`, {
        hint: "see stowage bundle --help",
      });
    }
    return await action.run(context, words);
  },
};

async function create(
  { load, flags, onEvent, signal, terminal, isJson, isQuiet }: CommandContext,
  names: readonly string[],
): Promise<CommandResult> {
  const out = flags.text("out");
  if (out === undefined) {
    throw new UsageError("Cannot make a bundle: no file is named", { hint: "say -o FILE" });
  }
  const options = { ...readCreate(flags), names, onEvent, signal };
  const made = await (await load()).createBundle(resolve(out), options);
  if (!isJson && !isQuiet) terminal.out(showCreated(made));
  return { ok: true, ...made };
}

function readCreate(flags: ParsedFlags): CreateBundleOptions {
  const [chunk, sign] = [flags.text("chunk"), flags.text("sign")];
  return {
    since: flags.list("since").map((path) => resolve(path)),
    ...(chunk !== undefined && { chunk: readSize("chunk", chunk) }),
    ...(sign !== undefined && { sign }),
  };
}

async function load(
  { load, flags, onEvent, signal, terminal, isJson, isQuiet }: CommandContext,
  files: readonly string[],
): Promise<CommandResult> {
  const stowage = await load({ isOptional: true, lock: "ignored" });
  const { ask } = terminal;
  const loaded = await stowage.loadBundle(files, {
    ...{ ...readLook(flags), ...readFar(flags), onEvent, signal },
    ...(ask && !isJson && !isQuiet && { nextPiece: (piece) => askFor(piece, ask, signal) }),
  });
  if (!isJson && !isQuiet) terminal.out(showLoaded(loaded));
  return { ok: true, ...loaded, signedBy: loaded.signedBy ?? null };
}

/** Whoever ends it has ended the waiting, too. */
async function askFor(
  { name, number, of, size, folder }: WantedPiece,
  ask: (question: string) => Promise<string | undefined>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const piece = `${plain(name)} (piece ${number} of ${of}, ${formatBytes(size)})`;
  const question = `Put in the disc with ${piece} and press Enter; ` +
    `or type the folder that has it (${plain(folder)}): `;
  const answer = await abortable(ask(question), signal).catch(() => undefined);
  return answer === "" ? folder : answer;
}

async function look(
  { flags, onEvent, signal, terminal, isJson, isQuiet }: CommandContext,
  files: readonly string[],
  how: "inspect" | "verify",
): Promise<CommandResult> {
  const { inspectBundle, verifyBundle } = await import("../../stowage.ts");
  const options = { ...readLook(flags), onEvent, signal };
  const info = how === "inspect"
    ? await inspectBundle(files, options)
    : await verifyBundle(files, options);
  if (!isJson && !isQuiet) terminal.out(showInfo(info, how === "verify"));
  return { ok: true, ...info, signedBy: info.signedBy ?? null };
}

async function receipt(
  { load, flags, onEvent, signal, terminal, isJson, isQuiet }: CommandContext,
  names: readonly string[],
): Promise<CommandResult> {
  const far = readFar(flags);
  if (names.length > 0 && far.from === undefined) {
    throw new UsageError(`Cannot use "${names[0]}": a receipt is of all of the store`, {
      hint: "name the store with --store, or a registry with --from; and the file with -o",
    });
  }
  const out = flags.text("out");
  const stowage = far.from === undefined
    ? await load({ isOptional: true, lock: "ignored" })
    : await load();
  const options = { ...far, names, onEvent: isJson ? onEvent : onlyNotes(onEvent), signal };
  const receipt = await stowage.receipt({
    ...options,
    ...(out !== undefined && { out: resolve(out) }),
  });
  if (!isJson) {
    if (out === undefined) terminal.out(JSON.stringify(receipt, undefined, 2));
    else if (!isQuiet) {
      const counts = `${count(receipt.manifests.length, "image")}, ${
        count(receipt.layers.length, "layer")
      }`;
      terminal.out(`Wrote ${plain(out)}: ${counts}`);
    }
  }
  return { ok: true, ...(out !== undefined && { path: resolve(out) }), receipt };
}

function readFar(flags: ParsedFlags): FarOptions {
  const [from, authFile, certDir] = ["from", "authfile", "cert-dir"].map((name) =>
    flags.text(name)
  );
  const [map, tlsVerify] = [flags.list("map"), readTlsVerify(flags)];
  const isGiven = map.length > 0 ||
    [authFile, certDir, tlsVerify].some((each) => each !== undefined);
  if (from === undefined && isGiven) {
    throw new UsageError("Cannot say how a registry is reached: none is named", {
      hint: "name it with --from REGISTRY",
    });
  }
  return {
    ...(from !== undefined && { from }),
    ...(map.length > 0 && { map }),
    ...(tlsVerify !== undefined && { tlsVerify }),
    ...(authFile !== undefined && { authFile: resolve(authFile) }),
    ...(certDir !== undefined && { certDir: resolve(certDir) }),
  };
}

function readLook(flags: ParsedFlags): Pick<BundleOptions, "verifyKey"> {
  const verifyKey = flags.text("verify-key");
  return verifyKey === undefined ? {} : { verifyKey };
}

function showCreated(
  { pieces, sources, artifacts, images, referrers, bytes, leftOut, leftOutBytes, signature }:
    CreatedBundle,
): string {
  const [first = ""] = pieces;
  const files = pieces.length > 1 ? `${first} and ${pieces.length - 1} more` : first;
  const beside = referrers > 0 ? `, ${count(referrers, "referrer")}` : "";
  const others = artifacts.length > 0 ? `, ${count(artifacts.length, "artifact")}` : "";
  const all = count(sources.length + artifacts.length, "source");
  const counts = `${all}, ${count(images, "image")}${others}${beside}`;
  return [
    `Wrote ${plain(files)}: ${counts}, ${formatBytes(bytes)}`,
    ...(leftOut > 0
      ? [`${count(leftOut, "layer")} left out, as it is there: ${formatBytes(leftOutBytes)}`]
      : []),
    ...(signature === undefined ? [] : [`${green("signed")} in ${plain(signature)}`]),
  ].join("\n");
}

function showLoaded({ images, artifacts, referrers, signedBy }: LoadedBundle): string {
  return [
    ...(images.length + artifacts.length > 0 ? [showImages(images, artifacts)] : []),
    ...(referrers.length > 0 ? [`and ${count(referrers.length, "referrer")} of them`] : []),
    showSigner(signedBy),
  ].join("\n");
}

function showInfo(info: BundleInfo, isVerified: boolean): string {
  const { sources, artifacts, images, base, referrers, bytes, pieces, signedBy } = info;
  const platforms = new Map(images.map(({ digest, platform }) => [digest, platform]));
  const rows = sources.map(({ name, reference, digest, images }) => [
    bold(name),
    plain(reference ?? ""),
    [...new Set(images.map((each) => platforms.get(each) ?? ""))].sort().join(", "),
    dim(shortId(digest)),
  ]);
  const beside = referrers.length > 0 ? `, ${count(referrers.length, "referrer")}` : "";
  rows.push(
    ...artifacts.map(({ name, reference, kind, digest }) => [
      ...[bold(name), plain(reference), plain(kind), dim(shortId(digest))],
    ]),
  );
  const size = `${formatBytes(bytes)} in ${count(pieces.length, "file")}${beside}`;
  const missing = base.reduce((sum, { size }) => sum + size, 0);
  return [
    ...(rows.length > 0 ? [columns(rows)] : []),
    isVerified ? `${green("verified")}: ${size}` : size,
    ...(base.length > 0
      ? [`needs ${count(base.length, "layer")} of the receiver's: ${formatBytes(missing)}`]
      : []),
    showSigner(signedBy),
  ].join("\n");
}

function showSigner(signedBy: SignedBy | undefined): string {
  return signedBy
    ? `${green("signed")} by ${signedBy.fingerprint} (${signedBy.format})`
    : yellow("no signature was asked for: name a key with --verify-key");
}
