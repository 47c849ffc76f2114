#!/bin/sh
# Everything a change must pass; with paths, only their tests: test.sh [path...]
# DENO_JOBS is how many processes run tests at the same time: one a core and one more, as tests wait
# too, and at most 4, unless told. TMPDIR is where their files are: in memory, unless told.
set -eu

cd "$(dirname "$0")/.."
sh scripts/setup.sh test

# All that may be downloaded comes now; no test needs the network.
find mod.ts config src tests examples scripts -path scripts/npm -prune -o -name '*.ts' \
  -exec scripts/deno cache --quiet {} +
scripts/deno bundle --quiet src/lib/bytes.ts >/dev/null # its bundler comes from npm
export STOWAGE_CACHED_ONLY=1

# Registries and stores sync what they write, and the tests would wait for the disk.
memory=/dev/shm room=4000000 # in KiB
if [ -z "${TMPDIR-}" ] && touch "$memory/stowage-$$" 2>/dev/null; then
  if setfattr -n user.stowage -v 1 "$memory/stowage-$$" 2>/dev/null &&
    [ "$(df --output=avail -k "$memory" | tail -n1)" -ge "$room" ]; then
    export TMPDIR="$memory"
  fi
  rm "$memory/stowage-$$"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
if [ -n "${CI-}" ] || [ ! -t 1 ]; then export NO_COLOR=1; fi

code=0
step() {
  name=$1
  shift
  start=$(date +%s)
  if "$@" >"$scratch/log" 2>&1; then result=ok; else result=failed code=1; fi
  printf '%-10s %-6s %4d s\n' "$name" "$result" "$(($(date +%s) - start))"
  [ "$result" = ok ] || cat "$scratch/log"
}

flags="-A --quiet --doc --sanitize-ops --sanitize-resources"

# Processes, not `--parallel`: tests set the environment and the umask, and measure their memory.
# Of the sorted test modules, deno gives each shard its own; there are many, so that none is long.
shards=30
tested=0
# shellcheck disable=SC2317 # step calls it
tests() {
  jobs=$(($(nproc) + 1))
  [ "$jobs" -le 4 ] || jobs=4
  # shellcheck disable=SC2016 # the inner sh expands it
  seq "$shards" | xargs -P "${DENO_JOBS:-$jobs}" -I{} sh -c '
    at=$1 shard=$2
    shift 2
    scripts/deno test --no-check --junit-path="$at.xml" --shard="$shard" "$@" >"$at.log" 2>&1 ||
      { cat "$at.log" && exit 1; }
  ' sh "$scratch/{}" "{}/$shards" "$@" || tested=$?
  return "$tested"
}

# shellcheck disable=SC2086 # these are many flags
if [ $# -gt 0 ]; then
  # Where a leak begins is told here only: to find that out takes a twelfth of all time.
  scripts/deno test $flags --trace-leaks --junit-path="$scratch/tests.xml" "$@" || tested=$?
else
  step fmt scripts/deno fmt --check
  step lint scripts/deno lint
  step check scripts/deno check --quiet mod.ts config src tests examples scripts/*.ts
  step doc scripts/deno doc --lint mod.ts config/mod.ts
  step shellcheck shellcheck .ci/run scripts/deno scripts/stowage scripts/*.sh
  step examples scripts/deno test $flags --no-run tests config src mod.ts README.md docs
  step tests tests $flags tests config src mod.ts README.md docs
fi

scripts/deno run -A scripts/report.ts "$tested" "$scratch"/*.xml || code=1
exit "$code"
