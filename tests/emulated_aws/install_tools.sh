#!/bin/sh
# Installs what the emulated AWS needs of this machine, where it is missing. It needs root, too.
set -eu
"$(dirname "$0")/../install_where_missing.sh" \
  "openssh-client rsync iproute2 util-linux mount hostname openssl" \
  ssh rsync ip unshare setpriv nsenter mount hostname openssl
