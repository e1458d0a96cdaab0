#!/bin/sh
# From a configured native tree and arm64 packages to kernel, initramfs and a filled ext4 image. One script because
# everything happens in one fakeroot session: files look owned by root here, and so they are in the image.
#
#   rootfs.sh WORK IMAGE_MIB    reads WORK/{native.tar,debs,kernel,apt-sources}
#                               writes WORK/{root.raw,kernel.img,initrd.img,packages.txt}
set -eu
work=$1
size_mib=$2
here=$(dirname "$0")
root=$work/rootfs
kernel=$work/kernel/unpacked
rm -rf "$root" "$kernel"
mkdir -p "$root" "$kernel"

echo "unpacking the configured system"
tar -C "$root" -xpf "$work/native.tar" --exclude='./dev/*'
"$here/exchange.sh" "$root" "$work/debs"

echo "adding the kernel"
for deb in "$work"/kernel/*.deb; do dpkg-deb --extract "$deb" "$kernel"; done
# Packages before trixie name folders that are links into /usr since.
for folder in bin lib; do
  if [ -d "$kernel/$folder" ]; then
    mkdir -p "$kernel/usr/$folder"
    cp -R "$kernel/$folder/." "$kernel/usr/$folder/"
  fi
done
mkdir -p "$root/usr/lib/modules"
cp -R "$kernel"/usr/lib/modules/* "$root/usr/lib/modules/"
depmod --basedir "$root/usr" "$(basename "$kernel"/usr/lib/modules/*)"
chown -R 0:0 "$root/usr/lib/modules"
cp "$kernel"/boot/vmlinuz-* "$work/kernel.img"
"$here/initramfs.sh" "$kernel" "$root/usr" "$here/../guest/init" "$work/initrd.img"

rm -f "$root"/etc/apt/sources.list.d/*
cp "$work"/apt-sources/* "$root/etc/apt/sources.list.d/"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*

{
  awk '/^Package:/ { name = $2 } /^Version:/ { print name, $2 }' "$root/var/lib/dpkg/status"
  for deb in "$work"/kernel/*.deb; do dpkg-deb --show --showformat='${Package} ${Version} (unpacked only)\n' "$deb"; done
} | sort >"$work/packages.txt"

echo "filling the file system"
rm -f "$work/root.raw"
truncate -s "${size_mib}M" "$work/root.raw"
mke2fs -q -t ext4 -L root -d "$root" "$work/root.raw"
rm -rf "$root" "$kernel"
