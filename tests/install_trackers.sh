#!/bin/sh
# Installs the experiment trackers, where one is missing, each in an environment of its own: their
# dependencies are not ours.
set -eu
cd "$(dirname "$0")/.."
for tracker in wandb trackio; do
  folder=.test-servers/$tracker
  lock=remote_trainer/fintts_trainer/tracking/$tracker.txt
  if ! cmp -s $lock $folder/lock; then
    uv=.venv/bin/uv
    [ -x $uv ] || uv=uv
    $uv venv --quiet --clear --python 3.11 $folder
    $uv pip install --quiet --python $folder/bin/python --require-hashes --requirement $lock
    cp $lock $folder/lock
  fi
done
