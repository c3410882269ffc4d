#!/usr/bin/env bash
# The main job from estimate to pulled checkpoints, on this machine: no account, no GPU, no network.
#     demo.sh [FOLDER]    removes FOLDER and works in it; without one, in demo-run of this repository
set -euo pipefail
folder=${1:+$(realpath -m "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)
export PATH="$root/.venv/bin:$PATH"
out="${folder:-$root/demo-run}"
rm -rf "$out"
export FINTTS_STATE_DIR="$out/state" FINTTS_STORE="$out/store"

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }
show() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

step '1. What is in the data?'
show fintts data check data --base-model base_model
step '2. What will it cost?'
show fintts estimate
step '3. Launch; the terminal only watches, and may be closed'
show fintts cloud launch --infra local --name kalevala-demo --yes
step '4. What is there now? Nothing runs any more'
show fintts cloud ps
step '5. Bring the checkpoints home, each verified: the last five, and the best'
show fintts cloud pull-checkpoints --to "$out/checkpoints"
step '6. What did it cost, against the estimate?'
show fintts cloud report
step '7. PEFT opens the best adapter as it is'
show python -P open_adapter.py "$out/checkpoints"

step 'Next'
cat <<'TEXT'
  fintts init --data DIR --base-model DIR    your own speech, your own base model
  fintts estimate                            its price, before anything is rented
  fintts cloud launch --yes                  the run
TEXT
