#!/bin/sh
# Turns a configured tree of this machine's architecture into an arm64 one, in place: arm64 packages are unpacked
# over it, what only the old packages owned is removed, and dpkg's records are written anew.
#
# Why: the slow part of making an arm64 system elsewhere is running the packages' installation scripts under
# emulation (minutes of fork-heavy shell and Perl). What those scripts leave behind (users, links, unit states,
# byte-compiled Python) is the same on every architecture; what differs is only files that packages ship. So the
# scripts run natively, and the shipped files are exchanged. Runs under fakeroot, needs no privileges.
#
#   exchange.sh ROOT DEBS
set -eu
root=$1
debs=$2
dpkg_dir=$root/var/lib/dpkg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
control=$work/control

# Both trees must hold the same packages, or something would be installed that was never configured.
sed -n 's/^Package: //p' "$dpkg_dir/status" | sort >"$work/native"
for deb in "$debs"/*.deb; do
  deb=${deb##*/}
  echo "${deb%%_*}"
done | sort >"$work/arm64"
if ! diff "$work/native" "$work/arm64" >&2; then
  echo "the package lists of the two architectures differ (above)" >&2
  exit 1
fi

cat "$dpkg_dir"/info/*.list | sort -u >"$work/old-files"
# Scripts and notes of packages go; what dpkg keeps elsewhere (diversions, alternatives, triggers) stays.
find "$dpkg_dir/info" -type f ! -name format -delete
mv "$dpkg_dir/status" "$work/old-status"

# Documentation, manuals and translations are left out, as in Debian's container images; licences stay.
# Configuration files stay as the installation scripts left them.
extract() {
  dpkg-deb --fsys-tarfile "$1" |
    tar -C "$root" -xpv --keep-directory-symlink --wildcards --exclude-from="$work/conffiles" \
      --exclude='./usr/share/man/*' --exclude='./usr/share/info/*' --exclude='./usr/share/locale/*' \
      --exclude='./usr/share/doc/*/[!c]*' --exclude='./usr/share/doc/*/changelog*' |
    sed -e 's,^\.,,' -e 's,/$,,' -e 's,^$,/.,'
}

# The package's own description, as installed, with the checksum of every configuration file.
status_stanza() {
  awk '{ print } /^Package:/ { print "Status: install ok installed" }' "$control/control"
  if [ -s "$work/conffiles" ]; then
    echo "Conffiles:"
    while read -r file; do
      [ ! -f "$root/$file" ] || echo " ${file#.} $(md5sum <"$root/$file" | cut -d' ' -f1)"
    done <"$work/conffiles"
  fi
  echo
}

exchange() {
  rm -rf "$control"
  dpkg-deb --control "$1" "$control"
  field() { awk -v name="$1:" '$1 == name { print $2; exit }' "$control/control"; }
  name=$(field Package)
  # Packages of which several architectures can be installed at once carry theirs in their file names.
  [ "$(field Multi-Arch)" != same ] || name=$name:$(field Architecture)
  : >"$work/conffiles"
  [ ! -f "$control/conffiles" ] || sed -n 's,^/,./,p' "$control/conffiles" >"$work/conffiles"
  {
    extract "$1"
    sed 's,^\.,,' "$work/conffiles"
  } >"$dpkg_dir/info/$name.list"
  status_stanza >>"$dpkg_dir/status"
  rm "$control/control"
  for file in "$control"/*; do
    [ ! -f "$file" ] || cp "$file" "$dpkg_dir/info/$name.${file##*/}"
  done
}

total=$(wc -l <"$work/arm64")
count=0
for deb in "$debs"/*.deb; do
  exchange "$deb"
  count=$((count + 1))
  echo "progress $count $total"
done

# Libraries and loaders of the old architecture, and directories that this leaves empty (deepest first).
cat "$dpkg_dir"/info/*.list | sort -u >"$work/new-files"
comm -23 "$work/old-files" "$work/new-files" | sort -r | while read -r path; do
  if [ -d "$root$path" ] && [ ! -L "$root$path" ]; then
    rmdir "$root$path" 2>/dev/null || true
  else
    rm -f "$root$path"
  fi
done

# Traces of the old architecture outside packages.
native=$(sed -n 's/^Architecture: //p' "$work/old-status" | grep -v '^all$' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
find "$dpkg_dir/triggers" -type f -exec sed -i "s,:$native,:arm64," {} +
rm -f "$dpkg_dir/arch" "$dpkg_dir"/*-old "$root/etc/ld.so.cache"
