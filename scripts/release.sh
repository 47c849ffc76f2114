#!/bin/sh
# Makes the files of a release, the same bytes each time, from what Deno and npm have, with their
# SHA-256 sums: release.sh [FOLDER [PART…]]
# A part is x64 or arm64 (an executable and a Debian package), npm, sbom, or jsr (its dry run).
set -eu
umask 022

cd "$(dirname "$0")/.."
root=$PWD
out=${1:-$root/dist}
[ $# -eq 0 ] || shift
parts=${*:-x64 arm64 npm sbom jsr}
for part in $parts; do
  case $part in
  x64 | arm64 | npm | sbom | jsr) ;;
  *) echo "release: there is no part \"$part\"" >&2 && exit 2 ;;
  esac
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' deno.json)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
read -r deno_version <.dvmrc

say() { echo "release: $*" >&2; }
has() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac }
made() { echo "$1" >>"$work/made"; }

pack() { # a folder, deterministically: pack FOLDER NAME FILE
  find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$2" | gzip -9n >"$3"
}

say "the SDK"
scripts/deno run -A --quiet scripts/sdk.ts "$work/sdk"
stowage() {
  "$root/.tools/deno-$deno_version" run -A --quiet --no-config --no-lock \
    --import-map "$work/sdk/import_map.json" "$work/sdk/src/cli/main.js" "$@"
}
if has x64 || has arm64; then
  scripts/deno run -A --quiet scripts/manual.ts "$work/man" >/dev/null
  for shell in bash zsh fish; do stowage completion "$shell" >"$work/$shell"; done
fi

debian() { # debian ARCHITECTURE EXECUTABLE NAME
  deb=$work/deb-$1
  lib=$deb/usr/lib/stowage
  share=$deb/usr/share
  mkdir -p "$lib" "$deb/usr/bin" "$deb/DEBIAN" "$share/man/man1" "$share/doc/stowage" \
    "$share/bash-completion/completions" "$share/zsh/vendor-completions" \
    "$share/fish/vendor_completions.d"
  skip=$(sed -n 's/^skip=//p;/^skip=/q' "$2")
  tail -c "+$skip" "$2" | tar -xzf - -C "$lib"
  rm "$lib/brief.js"
  case $(uname -m):$1 in
  x86_64:amd64 | aarch64:arm64) ;;
  *) rm -rf "$lib/bundler" ;; # it is this machine's
  esac
  chmod -R u=rwX,go=rX "$deb"
  cat >"$deb/usr/bin/stowage" <<'EOT'
#!/bin/sh
# Deno reads all modules of all commands first, unless told; and it keeps what layers have passed
# through for long.
export DENO_NO_UPDATE_CHECK=1 DENO_NO_PACKAGE_JSON=1 MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
lib=/usr/lib/stowage
exec "$lib/deno" run -A --quiet --no-config --no-lock --unstable-lazy-dynamic-imports \
  --v8-flags=--max-semi-space-size=1,--no-lazy,--heap-growing-percent=10 \
  --import-map "$lib/import_map.json" "$lib/src/cli/main.js" "$@"
EOT
  chmod 755 "$deb/usr/bin/stowage"
  for page in "$work/man"/*.1; do gzip -9nc "$page" >"$share/man/man1/${page##*/}.gz"; done
  cp "$work/bash" "$share/bash-completion/completions/stowage"
  cp "$work/zsh" "$share/zsh/vendor-completions/_stowage"
  cp "$work/fish" "$share/fish/vendor_completions.d/stowage.fish"
  cp LICENSE "$share/doc/stowage/copyright"
  cat >"$deb/DEBIAN/control" <<EOT
Package: stowage
Version: $version
Architecture: $1
Maintainer: stowage <stowage@localhost>
Section: admin
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$deb" | cut -f1)
Depends: skopeo, tar, zstd, gzip, ca-certificates, libc6
Description: gets exact container images from somewhere into something
 Fetches container images with skopeo into a content-addressed store, verified
 by their own bytes, and puts them into OS trees and archives.
EOT
  find "$deb" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  # Of one thread, as its bytes must not depend on how many there are.
  dpkg-deb --root-owner-group -Zzstd -z10 --threads-max=1 --build "$deb" "$out/$3" >/dev/null
}

for pair in x64=amd64 arm64=arm64; do
  has "${pair%=*}" || continue
  file=stowage-$version-linux-${pair%=*}
  say "$file"
  stowage compile --quiet --base sh --target "linux-${pair%=*}" -o "$out/$file"
  made "$file"
  if command -v dpkg-deb >/dev/null; then
    package=stowage_${version}_${pair#*=}.deb
    say "$package"
    debian "${pair#*=}" "$out/$file" "$package"
    made "$package"
  else
    say "no dpkg-deb here: no Debian package"
  fi
done

npm() {
  tarball=stowage-stowage-$version.tgz
  say "the npm package"
  mkdir -p "$work/npm/package"
  cp -R "$work/sdk/." README.md LICENSE "$work/npm/package"
  rm -r "$work/npm/package/bundler"
  cat >"$work/npm/package/package.json" <<EOT
{
  "name": "@stowage/stowage",
  "version": "$version",
  "description": "Gets exact container images from somewhere into something",
  "license": "MIT",
  "type": "module",
  "exports": {
    ".": { "types": "./types/mod.d.ts", "default": "./mod.js" },
    "./cli": "./src/cli/main.js"
  }
}
EOT
  pack "$work/npm" package "$out/$tarball"
  made "$tarball"
}
if has npm; then npm; fi

if has sbom; then
  scripts/deno run -A --quiet scripts/release/sbom.ts >"$out/stowage-$version.spdx.json"
  made "stowage-$version.spdx.json"
fi

if has jsr; then
  read -r deps <.tools/deps 2>/dev/null || deps=npm
  if [ "$deps" = jsr ]; then
    say "the dry run for JSR"
    scripts/deno publish --dry-run --quiet
  else
    say "JSR cannot be reached: no dry run"
  fi
fi

cd "$out"
if [ -s "$work/made" ]; then xargs sha256sum <"$work/made" | tee SHA256SUMS; fi
