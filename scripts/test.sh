#!/bin/sh
# Everything a change must pass; with paths, only their tests: test.sh [path...]
# DENO_JOBS=N runs N test modules side by side; those that measure memory may fail then.
set -eu

cd "$(dirname "$0")/.."
sh scripts/setup.sh test

# All that may be downloaded comes now; no test needs the network.
find mod.ts config src tests examples scripts -path scripts/npm -prune -o -name '*.ts' \
  -exec scripts/deno cache --quiet {} +
scripts/deno bundle --quiet src/lib/bytes.ts >/dev/null # its bundler comes from npm
export STOWAGE_CACHED_ONLY=1

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

tests() {
  tested=0
  scripts/deno test -A --quiet --doc --trace-leaks --sanitize-ops --sanitize-resources \
    ${DENO_JOBS:+--parallel} --junit-path="$scratch/junit.xml" "$@" || tested=$?
  return "$tested"
}

if [ $# -gt 0 ]; then
  tests "$@" || code=1
else
  step fmt scripts/deno fmt --check
  step lint scripts/deno lint
  step check scripts/deno check --quiet mod.ts config src tests examples scripts/*.ts
  step doc scripts/deno doc --lint mod.ts config/mod.ts
  step shellcheck shellcheck .ci/run scripts/deno scripts/stowage scripts/*.sh
  step tests tests tests config src mod.ts README.md docs
fi

scripts/deno run -A scripts/report.ts "$scratch/junit.xml" "$tested" || code=1
exit "$code"
