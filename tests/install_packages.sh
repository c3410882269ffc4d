#!/bin/sh
# Installs what tests run for real, where it is missing: Ceph's object gateway, FAT by FUSE, a
# compiler, what makes a link slow, and a browser without a window. Where that cannot be, tests that
# need it are skipped or fail.
set -eu
"$(dirname "$0")/install_where_missing.sh" \
  "radosgw ceph-mon ceph-osd ceph-common openssl g++ iproute2 dosfstools fusefat fuse3 chromium-headless-shell" \
  radosgw ceph-mon ceph-osd ceph radosgw-admin monmaptool \
  openssl g++ ip tc mkfs.vfat fusefat fusermount3 chromium-headless-shell || [ $? = 3 ]
