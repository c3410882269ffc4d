#!/bin/sh
# Installs OpenStack's Swift, where it is missing, in an environment of its own: its dependencies are
# not ours.
set -eu
cd "$(dirname "$0")/.."
swift=.test-servers/swift
if [ ! -x $swift/bin/swift-proxy-server ]; then
  uv=.venv/bin/uv
  [ -x $uv ] || uv=uv
  $uv venv --quiet --clear --python 3.11 $swift
  $uv pip install --quiet --python $swift/bin/python swift==2.38.3
fi
