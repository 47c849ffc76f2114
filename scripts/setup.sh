#!/bin/sh
# Installs what is missing to run stowage, its demo or its tests: setup.sh [deno|run|demo|test]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/.tools
read -r version <"$root/.dvmrc"

# command=package, as Debian names them; busybox must be the static one
run="skopeo=skopeo tar=tar zstd=zstd gzip=gzip certificates=ca-certificates"
demo="$run docker-registry=docker-registry busybox=busybox-static podman=podman buildah=buildah
  umoci=umoci"
test="$demo gpg=gpg gpg-agent=gpg-agent shellcheck=shellcheck jq=jq htpasswd=apache2-utils
  openssl=openssl unshare=util-linux setfattr=attr setfacl=acl
  faketime=faketime zsh=zsh fish=fish mandoc=mandoc
  chromium=chromium containerd=containerd redis-server=redis-server
  setpriv=util-linux postgres=postgresql"

group=${1:-run}
case $group in
deno) wanted= ;;
run) wanted=$run ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
*)
  echo "setup: choose \"deno\", \"run\", \"demo\" or \"test\", not \"$group\"" >&2
  exit 2
  ;;
esac

is_deno() { [ "$("$1" --version 2>/dev/null | cut -d' ' -f2 | head -n1)" = "$version" ]; }

link_deno() {
  mkdir -p "$tools"
  ln -sfn "$1" "$tools/deno-$version"
}

npm_deno=
if ! is_deno "$tools/deno-$version"; then
  if is_deno deno; then
    link_deno "$(deno eval --no-config 'console.log(Deno.execPath())')"
  else
    npm_deno=deno@$version
  fi
fi

has() {
  case $1 in
  certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] || ! command -v apt-get >/dev/null ;;
  postgres) ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 ;;
  busybox) command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

apt=
for pair in $wanted; do
  has "${pair%=*}" || apt="$apt ${pair#*=}"
done
apt=${apt# }

[ -n "$npm_deno$apt" ] || exit 0

stop() {
  echo "setup: $1; install these, then try again:" >&2
  [ -z "$apt" ] || echo "  apt-get install --no-install-recommends $apt" >&2
  [ -z "$npm_deno" ] || echo "  npm install --global $npm_deno" >&2
  exit 2
}

[ -z "$npm_deno" ] || command -v npm >/dev/null || stop "no npm here"
if [ -n "$apt" ]; then
  command -v apt-get >/dev/null || stop "no apt-get here"
  [ "$(id -u)" = 0 ] || stop "apt-get needs root"
fi

quietly() {
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    return 1
  fi
}

if [ -n "$npm_deno" ]; then
  echo "setup: installing from npm into .tools: $npm_deno" >&2
  quietly npm install --prefix "$tools" --ignore-scripts --no-audit --no-fund "$npm_deno" ||
    stop "npm failed"
  for binary in "$tools"/node_modules/@deno/*/deno; do link_deno "$binary"; done
  is_deno "$tools/deno-$version" || stop "npm's deno does not run on this system"
fi

if [ -n "$apt" ]; then
  echo "setup: installing with apt-get: $apt" >&2
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  install() { quietly apt-get install -y -q --no-install-recommends $apt; }
  install 2>/dev/null || { quietly apt-get update -q && install; } || stop "apt-get failed"
fi
