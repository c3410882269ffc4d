#!/bin/sh
# Installs what tests run for real, where it is missing: Ceph's object gateway, FAT by FUSE, a
# compiler, what makes a link slow, and a browser without a window.
set -eu
packages="radosgw ceph-mon ceph-osd ceph-common openssl g++ iproute2 dosfstools fusefat fuse3 chromium-headless-shell"
for program in radosgw ceph-mon ceph-osd ceph radosgw-admin monmaptool openssl g++ ip tc mkfs.vfat fusefat fusermount3 chromium-headless-shell; do
  if ! command -v "$program" > /dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
      echo "not installed: $program; tests that need it are skipped or fail (Debian: $packages)" >&2
      exit 0
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # several words
    apt-get install -y -qq --no-install-recommends $packages > /dev/null
    break
  fi
done
