#!/bin/sh
# Makes the virtual Pi's small initramfs from the unpacked kernel and busybox packages: a static busybox, the drivers of
# disk and network that are not built into the kernel, and guest/init. Every tool here is native.
#
#   initramfs.sh UNPACKED_KERNEL MODULES_BASE INIT OUTPUT    MODULES_BASE/lib/modules has been through depmod
set -eu
kernel=$1
base=$2
init=$3
output=$4
version=$(basename "$base"/lib/modules/*)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/root" "$tree/modules"
cp "$kernel/usr/bin/busybox" "$tree/bin/busybox"
cp "$init" "$tree/init"
chmod 0755 "$tree/init" "$tree/bin/busybox"

# What each needs comes before it, and their numbers are the order to load them in; which are built in is each kernel's
# own choice.
number=10
for name in virtio_pci virtio_blk virtio_net ext4; do
  modprobe --dirname "$base" --set-version "$version" --show-depends "$name" >"$tree/needs"
  while read -r kind module _; do
    [ "$kind" = insmod ] || continue
    ! ls "$tree"/modules/??-"$(basename "${module%%.ko*}")".ko >/dev/null 2>&1 || continue
    case $module in
      *.xz) xz -dc "$module" ;;
      *.zst) zstd -dc "$module" ;;
      *) cat "$module" ;;
    esac >"$tree/modules/$number-$(basename "${module%%.ko*}").ko"
    number=$((number + 1))
  done <"$tree/needs"
done
rm "$tree/needs"
(cd "$tree" && find . | LC_ALL=C sort | cpio --create --format=newc --owner=0:0 --quiet | gzip -1n) >"$output"
