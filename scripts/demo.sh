#!/bin/sh
# Shows the main job: real images from a real registry into a store. All of it is gone at the end.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
sh "$root/scripts/setup.sh" demo

scratch=$(mktemp -d "${TMPDIR:-/tmp}/stowage-demo.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

TMPDIR=$scratch "$root/scripts/deno" run -A --quiet "$root/scripts/demo.ts" "$scratch"
