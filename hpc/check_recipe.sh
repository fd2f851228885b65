#!/usr/bin/env bash
# Tries rom.def where no Apptainer is at hand: its %files, %post, %environment and %test in a fresh Debian under FOLDER, by debootstrap.
# As root: hpc/check_recipe.sh [FOLDER]. Debian's own Python 3.11 stands in for that of the base image.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:-/tmp/rom-container}
section() { awk -v name="%$1" '/^%/ { inside = ($1 == name); next } inside' hpc/rom.def; }
command -v debootstrap >/dev/null || { echo "no debootstrap: apt-get install debootstrap"; exit 3; }
[ -e "$root/usr/bin/python" ] || {
  debootstrap --variant=minbase --include=ca-certificates,python3-pip,python-is-python3 bookworm "$root"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
}
mkdir -p "$root/opt/rom-platform"
git archive HEAD | tar -x -C "$root/opt/rom-platform"
for var in PIP_FIND_LINKS PIP_CERT; do # what the host's pip needs to reach its packages
  path=${!var:-}
  [ -z "$path" ] || [ ! -e "$path" ] || { mkdir -p "$root$(dirname "$path")" && cp -r "$path" "$root$(dirname "$path")/"; }
done
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc" 2>/dev/null && trap 'umount "$root/proc"' EXIT
inside() { chroot "$root" /bin/sh -e -c "cd / && $(cat)"; }
section post | inside
{ section environment; section test; echo 'rom --help >/dev/null'; } | inside
echo "rom.def: %post and %test ended well in $root ($(du -shx "$root" | cut -f1))"
