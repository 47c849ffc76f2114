/**
 * The command line.
 *
 * ```sh
 * deno run -A jsr:@stowage/stowage/cli --help
 * ```
 *
 * @module
 */

import denoJson from "../../deno.json" with { type: "json" };
import { type LockError, UsageError } from "../errors/mod.ts";
import { emitTo } from "../events.ts";
import type { Command } from "./command.ts";
import { COMMANDS, findCommand } from "./commands/mod.ts";
// Deno keeps no compiled code of npm packages that are imported later only: what nearly all commands
// need of them, such as valibot, is imported here, by the config and what is shown.
import { findLock, hasConfig, loadConfig, loadConfigAndLock } from "./config_file.ts";
import { endProcess, endWith, guardEnd } from "./ending.ts";
import { EXIT, exitCodeOf } from "./exit_code.ts";
import { GLOBAL_FLAGS, LONE_FLAGS, type ParsedFlags, readFlags, splitCommand } from "./flags.ts";
import { resultLine } from "./json_line.ts";
import { PROGRESS, reportJson, reportText } from "./reporter.ts";
import { reportError } from "./report_error.ts";
import { typed } from "../lib/typed_error.ts";
import { listenForInterrupts } from "./interrupts.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

/**
 * Runs a command line.
 *
 * @param args What stands behind the program's name.
 * @returns The exit code: 0 done, 1 something failed, 2 the command line or the config is wrong,
 * 3 content did not verify, 4 the lock is missing or stale, 130 interrupted.
 */
export async function main(args: readonly string[]): Promise<number> {
  const terminal = openTerminal();
  const code = await run(args, terminal);
  if (!terminal.failure) return code;
  const [why = ""] = terminal.failure.message.split(" (os error");
  terminal.err(`error: Cannot write the result: ${why}`);
  return code === EXIT.done ? EXIT.failed : code;
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const { name, rest } = splitCommand(args);
  let [isJson, isDebug] = [args.includes("--json"), args.includes("--debug")];
  try {
    if (name === undefined) return await runWithoutCommand(rest, terminal);
    const command = await findCommand(name);
    const flags = readFlags(rest, [...command.flags, ...GLOBAL_FLAGS]);
    [isJson, isDebug] = [flags.has("json"), flags.has("debug")];
    if (flags.has("help")) {
      const { helpOf } = await import("./help.ts");
      terminal.out(helpOf(name, command));
      return EXIT.done;
    }
    const word = flags.words[command.maxWords ?? Infinity];
    if (word !== undefined) {
      const room = command.maxWords === 0 ? "no names" : "no more names";
      throw new UsageError(`Cannot use "${word}": ${name} takes ${room}`, {
        hint: `see stowage ${name} --help`,
      });
    }
    return await runCommand(command, flags, terminal);
  } catch (thrown) {
    const error = typed(thrown);
    reportError(error, terminal, isJson, isDebug);
    return exitCodeOf(error);
  }
}

async function runCommand(
  command: Command,
  flags: ParsedFlags,
  terminal: Terminal,
): Promise<number> {
  const isJson = flags.has("json");
  const isQuiet = flags.has("quiet");
  const progress = readProgress(flags, terminal);
  using interrupt = listenForInterrupts();
  const onEvent = isJson
    ? reportJson(terminal)
    : isQuiet
    ? () => {}
    : reportText(terminal, progress);
  const tellBadLock = ({ message, hint = "" }: LockError) => {
    const [first = ""] = message.split("\n");
    const text = `${first}; it is left out: ${hint}`;
    emitTo(onEvent)({ type: "notice", code: "LOCK_UNREAD", message: text });
  };
  const result = await command.run({
    flags,
    terminal,
    options: optionsOf(flags),
    isJson,
    isQuiet,
    onEvent,
    signal: interrupt.signal,
    load: async ({ isOptional = false, lock: wanted = "required", cache = [] } = {}) => {
      const loading = import("../stowage.ts"); // the engine, which help does not need
      const file = flags.text("config");
      const options = { ...optionsOf(flags), cache };
      const reading = {
        isOffline: flags.has("offline"),
        onNote: (message: string) =>
          emitTo(onEvent)({ type: "notice", code: "CONFIG_NOTE", message }),
        signal: interrupt.signal,
      };
      if (isOptional && file === undefined && !await hasConfig()) {
        return (await loading).stowage({}, options);
      }
      if (wanted === "ignored") {
        const { config, root } = await loadConfig(file, reading);
        return (await loading).stowage(config, { root, ...options });
      }
      const onBadLock = wanted === "optional" ? tellBadLock : undefined;
      const { config, root, lock } = await loadConfigAndLock(file, reading, onBadLock);
      return (await loading).stowage(config, { root, ...(lock && { lock }), ...options });
    },
    lockPath: () => findLock(flags.text("config")),
  });
  const { exitCode = result.ok ? EXIT.done : EXIT.failed } = result;
  if (isJson) terminal.out(resultLine({ ...result, exitCode }));
  return exitCode;
}

function readProgress(flags: ParsedFlags, terminal: Terminal) {
  const text = flags.text("progress");
  if (text === undefined) return undefined;
  const how = PROGRESS.find((each) => each === text);
  if (how === undefined) {
    throw new UsageError(`Cannot use --progress "${text}": expected ${PROGRESS.join(", ")}`);
  }
  if (how === "bar" && !terminal.status) {
    throw new UsageError("Cannot use --progress bar: standard error is no terminal", {
      hint: "leave it out, or say --progress plain",
    });
  }
  return how;
}

function optionsOf(flags: ParsedFlags) {
  const [store, platform] = [flags.text("store"), flags.text("platform")];
  const [jobs, attempts] = [flags.number("jobs"), flags.number("attempts")];
  const [perRegistry, timeout] = [flags.number("per-registry"), flags.number("timeout")];
  const minRate = flags.number("min-rate", 0);
  return {
    ...(store !== undefined && { store }),
    ...(platform !== undefined && { platform }),
    ...(jobs !== undefined && { jobs }),
    ...(perRegistry !== undefined && { perRegistry }),
    ...(attempts !== undefined && { attempts }),
    ...(timeout !== undefined && { stallTimeout: timeout * 1000 }),
    ...(minRate !== undefined && { minRate }),
    offline: flags.has("offline"),
    frozen: flags.has("frozen"),
  };
}

async function runWithoutCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  const flags = readFlags(args, LONE_FLAGS);
  if (flags.has("version")) {
    terminal.out(`stowage ${denoJson.version}`);
    return EXIT.done;
  }
  const { helpOfAll } = await import("./help.ts");
  const help = helpOfAll(COMMANDS);
  if (flags.has("help")) terminal.out(help);
  else terminal.err(help);
  return flags.has("help") ? EXIT.done : EXIT.usage;
}

/** Ends the process where nobody waits for what failed, such as what a config has begun. */
function end(event: Event, reason: unknown): void {
  event.preventDefault();
  endWith(typed(reason));
}

if (import.meta.main) {
  // What is built must not depend on who builds it; nor may others write where they can read.
  Deno.umask(0o022);
  globalThis.addEventListener("error", (event) => end(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => end(event, event.reason));
  guardEnd();
  // Not awaited: what never ends would be told of this line, and not of the config's own.
  main(Deno.args).then(endProcess);
}
