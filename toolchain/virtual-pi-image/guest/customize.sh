#!/bin/sh
# Makes a plain Debian into the virtual Pi's system. Runs as mmdebstrap's customize hook while the tree still holds
# programs of this machine's own architecture, so everything here is native and quick (see scripts/exchange.sh).
#
#   customize.sh ROOT
set -eu
root=$1
here=$(dirname "$0")
in_root() { chroot "$root" "$@"; }

cp -R "$here/rootfs/." "$root/"
chown -R 0:0 "$root/etc/systemd/journald.conf.d" "$root/etc/ssh" "$root/etc/sudoers.d" "$root/etc/fstab" "$root/etc/hosts"
chmod 0440 "$root"/etc/sudoers.d/*

in_root useradd --create-home --shell /bin/bash --uid 1000 pi
in_root install -d -o pi -g pi -m 0700 /home/pi/.ssh

in_root systemctl enable ssh.service

# Under emulation starting any program costs a fifth of a second and more, so what has nothing to do here does not
# start: consoles nobody sits at, housekeeping of a machine that lives for an hour, devices that cannot appear
# (guest/init has set up disk and network), file systems nobody uses. Boot takes a fifth of the processor time.
in_root systemctl mask \
  getty.target serial-getty@ttyAMA0.service systemd-logind.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
  systemd-udev-load-credentials.service systemd-hwdb-update.service kmod-static-nodes.service \
  systemd-modules-load.service systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service \
  modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
  systemd-network-generator.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
  sys-fs-fuse-connections.mount run-lock.mount tmp.mount systemd-remount-fs.service \
  systemd-pstore.service systemd-pcrphase.service systemd-random-seed.service systemd-machine-id-commit.service \
  systemd-sysusers.service systemd-update-done.service systemd-update-utmp.service ldconfig.service \
  systemd-journal-flush.service systemd-journal-catalog-update.service
# D-Bus starts when somebody asks for it.
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/etc/systemd/system-generators"
ln -sf /dev/null "$root/etc/systemd/system/multi-user.target.wants/dbus.service"
# The same for programs that write units at boot: there is nothing here for them to find.
for generator in "$root"/usr/lib/systemd/system-generators/*; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
done

# Each virtual Pi brings its own host key and machine id, in its seed.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
: >"$root/etc/machine-id"
rm -rf "$root"/var/log/*
: >"$root/etc/default/locale" # pam_env complains at each login without it
