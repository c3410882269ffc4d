#!/bin/sh
# Installs what the emulated AWS needs of this machine, where it is missing.
set -eu
packages="openssh-client rsync iproute2 util-linux mount hostname openssl"
for program in ssh rsync ip unshare setpriv nsenter mount hostname openssl; do
  if ! command -v "$program" > /dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
      echo "not installed: $program; the emulated AWS needs it, and root (Debian: $packages)" >&2
      exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # several words
    apt-get install -y -qq --no-install-recommends $packages > /dev/null
    break
  fi
done
