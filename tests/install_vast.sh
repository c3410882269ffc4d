#!/bin/sh
# Installs Vast's client, where it is missing, in an environment of its own: its dependencies are not
# ours.
set -eu
cd "$(dirname "$0")/.."
vast=.test-servers/vast
if [ ! -e $vast/installed ]; then
  uv=.venv/bin/uv
  [ -x $uv ] || uv=uv
  $uv venv --quiet --clear --python 3.11 $vast
  $uv pip install --quiet --python $vast/bin/python vastai-sdk==1.9.1
  touch $vast/installed
fi
