import type { ContainerLoaderOptions } from "../../../config/mod.ts";

/**
 * The script that loads the images, for any POSIX shell.
 *
 * @param options What loads them, and what it does beside that.
 * @returns The text of the script.
 */
export function loaderScript(
  { engine, removeReplaced = false, namespace = "default" }: ContainerLoaderOptions,
): string {
  const isContainerd = engine === "containerd";
  return SCRIPT
    .replace("@words@\n", isContainerd ? CONTAINERD : ENGINE)
    .replaceAll("@engine@", engine)
    .replaceAll("@program@", isContainerd ? `ctr --namespace ${namespace}` : engine)
    .replace("@cleanup@\n", removeReplaced ? CLEANUP : "")
    .replace("@orphans@\n", isContainerd ? "" : ORPHANS);
}

/** The words of podman and docker. */
const ENGINE = `# The engine's id of an image, by name or id; nothing if it has no such image.
id_of() {
  engine image inspect --format '{{.Id}}' "$1" 2>/dev/null | sed 's/^sha256://; /^$/d'
}

# A hash of the digests of an image's layers.
layers_of() {
  engine image inspect --format '{{range .RootFS.Layers}}{{.}}{{end}}' "$1" |
    tr -d '\\n' | sha256sum | cut -c 1-64
}

load_archive() {
  engine load
}

tag() {
  engine tag "$1" "$2"
}

# Takes a name, or an image, away.
remove() {
  engine rmi "$1" >/dev/null
}

is_whole() {
  [ "$(id_of "$1")" = "$1" ]
}
`;

/** The words of containerd, where images are names that lead to manifests. */
const CONTAINERD =
  `# What an image's name leads to, or what it is if that has a name; nothing otherwise.
id_of() {
  case $1 in
  *[!0-9a-f]*) filter="name==\\"$1\\"" ;;
  *) filter="target.digest==sha256:$1" ;;
  esac
  engine images ls "$filter" 2>/dev/null | awk 'NR == 2 { sub("sha256:", "", $3); print $3 }'
}

layers_of() {
  echo unknown
}

load_archive() {
  engine images import -
}

tag() {
  named=$(engine images ls -q "target.digest==sha256:$1" | head -n 1)
  engine images tag --force "$named" "$2" >/dev/null
}

remove() {
  engine images rm "$1" >/dev/null
}

# Whether all of an image's content is there.
is_whole() {
  [ -n "$(engine images check -q "target.digest==sha256:$1" 2>/dev/null)" ]
}
`;

/** What goes when a release is loaded as a whole. */
const CLEANUP = `
# Takes away what an earlier release has loaded, and this one has not.
if [ "$code" = 0 ]; then
  awk 'NR == FNR { ours[$1 ""]; next } !($2 "" in ours)' "$home/images.list" "$given" |
    while read -r name id own; do
      if [ "$(id_of "$name")" = "$own" ]; then
        if said=$(remove "$name" 2>&1); then
          echo "removed $name"
        else
          echo "cannot remove $name: $(printf '%s' "$said" | tr -s '[:space:]' ' ')" >&2
        fi
@orphans@
      fi
    done
fi
`;

/** An image of podman and docker stays when its name is given to another. */
const ORPHANS = `      elif [ "$(id_of "$own")" = "$own" ] &&
        [ "$(engine image inspect --format '{{len .RepoTags}}' "$own")" = 0 ]; then
        remove "$own" 2>/dev/null && echo "removed $own, which was $name"
`;

const SCRIPT = `#!/bin/sh
# Loads the images of images.list into @engine@. It may be interrupted, and run again.
# STOWAGE_ENGINE replaces "@engine@" (with flags, if need be), STOWAGE_ROOT replaces "/".
set -uf

kind=@engine@
root=\${STOWAGE_ROOT-}
home=$root/usr/share/stowage/container-loader
state=$root/var/lib/stowage
status=$state/container-loader.status
# Which names were given to which images, and how the engine calls these: "name id own-id" a line.
given=$state/container-loader.given

engine() {
  # shellcheck disable=SC2086
  \${STOWAGE_ENGINE:-@program@} "$@" 3<&- 9>&-
}

@words@

# Whether the image is the last one that was given a name.
was_given() {
  awk -v name="$1" -v id="$id" '$1 == name { last = $2 } END { exit last "" != id "" }' "$given"
}

fail() {
  reason=$*
  return 1
}

# While an image is loaded it is there three times: as an archive, as layers of that, and unpacked.
has_room() {
  needed=$((3 * size + 8192))
  free=$(df -kP "$storage" | awk 'NR == 2 { print $4 }')
  [ "\${free:-$needed}" -ge "$needed" ] ||
    fail "needs $((needed / 1024)) MiB in $storage, where $((free / 1024)) MiB are free"
}

# Loads the archive; what else it has brought about is undone if it is not the image.
load() {
  [ -f "$archive" ] || fail "its archive is missing: $archive" || return
  has_room || return
  [ "$(sha256sum <"$archive" | cut -c 1-64)" = "$sum" ] ||
    fail "its archive is damaged: $archive" || return
  case $file in
  *.zst) unpack='zstd -dcq' ;;
  *.gz) unpack='gzip -dc' ;;
  *) unpack='cat' ;;
  esac
  command -v "\${unpack%% *}" >/dev/null || fail "\${unpack%% *} is not installed" || return
  before=$(id_of "$name")
  if said=$($unpack <"$archive" | load_archive 2>&1 >/dev/null); then
    [ "$ids" = images ] || own=$(id_of "$name")
    is_loaded && return
    fail "its archive holds another image: $archive"
  else
    fail "$(printf '%s' "$kind load: $said" | tr -s '[:space:]' ' ')"
  fi
  if [ "$(id_of "$name")" != "$before" ]; then
    if [ -n "$before" ]; then tag "$before" "$name"; else remove "$name"; fi >/dev/null
  fi
  return 1
}

is_loaded() {
  case $ids in
  images) [ "$(id_of "$id")" = "$id" ] && is_whole "$id" ;;
  manifests) [ -n "$own" ] && [ "$(layers_of "$own")" = "$layers" ] ;;
  esac
}

# A name with a digest comes with an archive only: no engine can be told to give it.
has_digest_name() {
  case $name in
  *@*) [ "$(id_of "$name")" = "$own" ] ;;
  esac
}

# Sees to one image: sets result, or else reason.
see_to() {
  [ -n "$storage" ] || fail "$kind does not answer" || return
  own=$id
  if [ "$ids" = manifests ]; then
    own=$(awk -v id="$id" '$2 "" == id "" { own = $3 } END { print own }' "$given")
  fi
  if [ -n "$own" ] && [ "$(id_of "$own")" = "$own" ] && is_whole "$own" && has_digest_name; then
    result=present
  elif was_given "$name" && [ -n "$(id_of "$name")" ]; then
    result=replaced
    return
  else
    load || return
    result=loaded
  fi
  for each in $names; do
    current=$(id_of "$each")
    if [ "$current" != "$own" ]; then
      # Who gave the name to another image since has meant it.
      if [ -n "$current" ] && was_given "$each"; then
        result=replaced
        continue
      fi
      tag "$own" "$each" || fail "it cannot be called $each" || return
    fi
    if ! was_given "$each" || ! grep -Fqx "$each $id $own" "$given"; then
      echo "$each $id $own" >&9
    fi
  done
  if [ "$after" = delete ] && [ -f "$archive" ]; then
    sync
    rm -f "$archive" || echo "cannot delete $archive" >&2
  fi
}

if ! [ -r "$home/images.list" ]; then
  echo "cannot read $home/images.list" >&2
  exit 1
fi
mkdir -p "$state" || exit
exec 9>>"$given"
if command -v flock >/dev/null; then flock 9; fi

ids=images storage=
case $kind in
podman)
  storage=$(engine info --format '{{.Store.GraphRoot}}')
  # Its temporary files go where room was made sure of, and none are left of an earlier run.
  if [ -n "$storage" ]; then
    export TMPDIR="$storage/tmp/stowage"
    trap 'rm -rf "$TMPDIR"' EXIT
    trap 'exit 143' HUP INT TERM
    rm -rf "$TMPDIR"
    mkdir -p "$TMPDIR" || exit
  fi
  ;;
containerd)
  # It says where its files are to nobody.
  engine version >/dev/null 2>&1 && storage=$root/var/lib/containerd
  if [ -n "$storage" ] && ! [ -d "$storage" ]; then storage=$root/var; fi
  ;;
docker)
  storage=$(engine info --format '{{.DockerRootDir}}')
  # With containerd's image store, what docker calls an image's id is the digest of a manifest.
  case $(engine info --format '{{.DriverStatus}}') in
  *io.containerd.snapshotter*)
    ids=manifests
    if [ -d "$root/var/lib/containerd" ]; then storage=$root/var/lib/containerd; fi
    ;;
  esac
  ;;
esac

code=0 report=
while read -r id layers sum size after file names <&3; do
  case $id in '#'*) continue ;; esac
  name=\${names%% *} archive=$home/images/$file reason=
  if ! see_to; then
    result=failed
    code=1
  fi
  line="$result $name\${reason:+ $reason}"
  echo "$line"
  report="$report$line
"
  printf '%s' "$report" >"$status.new" && mv -f "$status.new" "$status"
done 3<"$home/images.list"
@cleanup@
exit "$code"
`;
