/** What the launcher has to know. */
export interface LauncherOptions {
  /** The program's name, for messages and its folder in the cache. */
  readonly name: string;
  /** The machine that it runs on, as `uname -m` says it. */
  readonly machine: string;
  /** SHA-256 of what follows the script, in hex. */
  readonly hash: string;
  /** The program, in what follows. */
  readonly main: string;
  /** What Deno is told before that. */
  readonly flags: readonly string[];
}

/** Words between at signs are replaced; `$skip` is where the archive begins, counted from 1. */
const SCRIPT = String.raw`#!/bin/sh
# @NAME@, with the Deno that runs it. What follows this script is a compressed tar archive.
set -eu
hash=@HASH@
skip=@SKIP@

fail() {
  echo "@NAME@: $1" >&2
  exit 126
}

[ "$(uname -s) $(uname -m)" = "Linux @MACHINE@" ] ||
  fail "this program is for Linux on @MACHINE@, not for $(uname -s) on $(uname -m)"
case $0 in
*/*) self=$0 ;;
*) self=$(command -v -- "$0") ;;
esac

# Whether $1 is a folder of this user, and nobody else can look into it.
is_own() { [ -n "$(find "$1" -prune -type d -user "$(id -u)" -perm 0700 2>/dev/null)" ]; }

# Unpacks into a new folder $new in $1; fails where files cannot be written, or programs not run.
unpack() {
  new=$(umask 077 && mktemp -d "$1/new-XXXXXXXX" 2>/dev/null) || return 1
  trap 'rm -rf "$new"' EXIT
  trap 'exit 130' HUP INT TERM
  if tail -c "+$skip" "$self" >"$new/archive" 2>/dev/null; then
    [ "$(sha256sum <"$new/archive")" = "$hash  -" ] || fail "this file is damaged: get it again"
    mkdir -m 700 "$new/files" && gzip -dc <"$new/archive" 2>/dev/null |
      tar -xf - --no-same-owner -C "$new/files" 2>/dev/null &&
      rm "$new/archive" && "$new/files/deno" --version >/dev/null 2>&1 && return 0
  fi
  rm -rf "$new"
  return 1
}

# Sets $home to where the program is in the cache $1: from an earlier run, another one, or this one.
find_home() {
  home=$1/$hash
  case $1 in /*) ;; *) return 1 ;; esac
  (umask 077 && mkdir -p "$1" && chmod 700 "$1") 2>/dev/null && is_own "$1" || return 1
  if ! [ -d "$home" ]; then
    # What runs that were killed have left.
    find "$1" -maxdepth 1 -name 'new-*' -mtime +1 -exec rm -rf {} + 2>/dev/null || :
    unpack "$1" || return 1
    # A rename takes place whole, or not at all where another run was first.
    FROM=$new/files TO=$home "$new/files/deno" eval --no-config --no-lock \
      'Deno.renameSync(Deno.env.get("FROM"), Deno.env.get("TO"))' 2>/dev/null || :
    rm -rf "$new"
    trap - EXIT HUP INT TERM
  fi
  is_own "$home" && [ -x "$home/deno" ]
}

# Without a cache: a folder for this run alone, which it removes when it ends.
make_home() {
  for base in "${"$"}{TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm /run; do
    unpack "$base" || continue
    trap - EXIT HUP INT TERM
    export STOWAGE_BRIEF="$new"
    home=$new/files
    return 0
  done
  return 1
}

export DENO_NO_UPDATE_CHECK=1 DENO_NO_PACKAGE_JSON=1
# Or Deno reads all modules of all commands first.
export DENO_UNSTABLE_LAZY_DYNAMIC_IMPORTS=1
caches=${"$"}{XDG_CACHE_HOME:-${"$"}{HOME:+$HOME/.cache}}
find_home "${"$"}{caches:+$caches/@NAME@}" || make_home ||
  fail "there is no folder to run from: set XDG_CACHE_HOME or TMPDIR to one where programs run"
# Deno's own cache is with the program where the user has no folder for it.
caches=${"$"}{DENO_DIR:-$caches}
{ [ -n "$caches" ] && (umask 077 && mkdir -p "$caches") && [ -w "$caches" ]; } 2>/dev/null ||
  export DENO_DIR="$home/cache"
exec "$home/deno" run -A --quiet --no-config --no-lock @FLAGS@ --import-map "$home/import_map.json" \
  ${"$"}{STOWAGE_BRIEF:+--preload "$home/brief.js"} "$home/@MAIN@" "$@"
`;

/**
 * The script that an executable starts with. It unpacks what follows it into the user's cache, once;
 * or for each run anew where there is no cache that programs can run from.
 *
 * @param options What is different from program to program.
 * @returns POSIX shell.
 */
export function launcherScript(options: LauncherOptions): string {
  const words = { ...options, flags: options.flags.join(" ") };
  let script = SCRIPT;
  for (const [word, text] of Object.entries(words)) {
    script = script.replaceAll(`@${word.toUpperCase()}@`, text);
  }
  // The number has as many places as the word that it stands for.
  return script.replace("@SKIP@", String(script.length + 1).padStart("@SKIP@".length, "0"));
}

/** Removes the folder of a run that had no cache, when the run ends. */
export const BRIEF = `const folder = Deno.env.get("STOWAGE_BRIEF");
Deno.env.delete("STOWAGE_BRIEF");
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
`;
