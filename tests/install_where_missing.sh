#!/bin/sh
# install_where_missing.sh PACKAGES PROGRAM...: installs Debian's packages if a program is missing.
# Exits with 3 where they cannot be installed: without root, or on another system.
set -eu
packages=$1
shift
for program; do
  if ! command -v "$program" > /dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
      echo "not installed: $program (Debian: $packages)" >&2
      exit 3
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # several words
    apt-get install -y -qq --no-install-recommends $packages > /dev/null
    break
  fi
done
