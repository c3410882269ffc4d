#!/bin/sh
# Brings the models that measure samples, where one is missing: files of wheels whose code we do not
# use, nor what it depends on.
set -eu
cd "$(dirname "$0")/.."
folder=.test-servers/eval-models
wheels='resemblyzer==0.1.4 speechmos==0.0.1.1'
if [ "$(cat $folder/wheels 2> /dev/null)" != "$wheels" ]; then
  rm -rf $folder
  # shellcheck disable=SC2086 # several words
  .venv/bin/pip install --quiet --no-compile --no-deps --target $folder $wheels
  echo "$wheels" > $folder/wheels
fi
