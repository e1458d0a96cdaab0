#!/bin/sh
# Makes the virtual Pi's small initramfs from the unpacked kernel and busybox packages: a static busybox, the few
# drivers that are not built into the kernel, and guest/init. Every tool here is native.
#
#   initramfs.sh UNPACKED_KERNEL INIT OUTPUT
set -eu
kernel=$1
init=$2
output=$3
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/root" "$tree/modules"
cp "$kernel/usr/bin/busybox" "$tree/bin/busybox"
cp "$init" "$tree/init"
chmod 0755 "$tree/init" "$tree/bin/busybox"
# Drivers of disk and network; the kernel has everything else built in.
for name in virtio_blk failover net_failover virtio_net; do
  module=$(find "$kernel/usr/lib/modules" -name "$name.ko*")
  case $module in
    *.xz) xz -dc "$module" ;;
    *.zst) zstd -dc "$module" ;;
    *.ko) cat "$module" ;;
    *) echo "the kernel package has no module $name" >&2 && exit 1 ;;
  esac >"$tree/modules/$name.ko"
done
(cd "$tree" && find . | LC_ALL=C sort | cpio --create --format=newc --owner=0:0 --quiet | gzip -1n) >"$output"
