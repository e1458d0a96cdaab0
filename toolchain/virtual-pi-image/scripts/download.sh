#!/bin/sh
# Downloads every .deb of the image into OUT/debs and OUT/kernel. Runs as mmdebstrap's customize hook: by then
# mmdebstrap has chosen the suite's mirror, verified its signature and fetched the package lists, so this script
# (and this repository) need not know where the packages come from.
set -eu
: "${OUT:?}" "${PACKAGES:?}" "${KERNEL_PACKAGE:?}" "${MMDEBSTRAP_APT_CONFIG:?}"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
chroot_dir=$1

mkdir -p "$OUT/debs/partial" "$OUT/kernel"

# An earlier, interrupted download is picked up where it stopped: apt keeps finished files and resumes partial ones.
# shellcheck disable=SC2086  # PACKAGES is a list
apt-get --yes --no-install-recommends --download-only -o Dir::Cache::archives="$OUT/debs/" \
  -o APT::Sandbox::User=root install '?essential' '?priority(required)' apt $PACKAGES

# The kernel is unpacked, not installed: its package would pull in an initramfs generator, which takes minutes
# under emulation and whose result we do not need (scripts/initramfs.sh).
kernel=$(apt-cache depends "$KERNEL_PACKAGE" | awk '/Depends: linux-image-/ { print $2; exit }')
cd "$OUT/kernel"
apt-get -o APT::Sandbox::User=root download "$kernel" busybox-static

# So that `apt install` works on the virtual Pi.
mkdir -p "$OUT/apt-sources"
cp "$chroot_dir"/etc/apt/sources.list.d/* "$OUT/apt-sources/" 2>/dev/null || true
[ ! -s "$chroot_dir/etc/apt/sources.list" ] || cp "$chroot_dir/etc/apt/sources.list" "$OUT/apt-sources/"
