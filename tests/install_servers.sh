#!/bin/sh
# Installs the real servers that tests run against, where they are missing: Ceph's object gateway.
set -eu
packages="radosgw ceph-mon ceph-osd ceph-common openssl"
for program in radosgw ceph-mon ceph-osd ceph radosgw-admin monmaptool openssl; do
  if ! command -v "$program" > /dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
      echo "not installed: $program; tests against radosgw are skipped (Debian: $packages)" >&2
      exit 0
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # several words
    apt-get install -y -qq --no-install-recommends $packages > /dev/null
    break
  fi
done
