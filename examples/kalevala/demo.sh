#!/usr/bin/env bash
# From recordings to a voice that you can hear, on this machine: no account, no GPU, no network.
#     demo.sh [FOLDER]    removes FOLDER and works in it; without one, in demo-run of this repository
set -euo pipefail
folder=${1:+$(realpath -m "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/sound"
root=$(cd ../../.. && pwd)
export PATH="$root/.venv/bin:$PATH"
out="${folder:-$root/demo-run}"
rm -rf "$out"
export FINTTS_STATE_DIR="$out/state" FINTTS_STORE="$out/store" FINTTS_DATA="$out/codes"
verse='yksin meillä yöt tulevat, yksin päivät valkeavat;'

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }
show() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

step '1. Turn recordings into training data, with the codec beside the base model'
show fintts data encode recordings --to "$out/codes"
step '2. What is in the data?'
show fintts data check "$out/codes"
step '3. What will it cost?'
show fintts estimate
step '4. Launch; the terminal only watches, and may be closed'
show fintts cloud launch --infra local --name kalevala-demo --yes
step '5. What is there now? Nothing runs any more'
show fintts cloud ps
step '6. Bring the checkpoints home, each verified: the last five, and the best'
show fintts cloud pull-checkpoints --to "$out/checkpoints"
step '7. What did it cost, against the estimate?'
show fintts cloud report
step '8. Hear a verse that it was not trained on: base model, best, last, and the recording'
show fintts speak "$verse" --compare --picture -o "$out/verse.wav"
step '9. Hear what it spoke while it trained, on one page'
show fintts cloud listen --to "$out/samples"
step '10. Is it closer to the recordings than the base model?'
fintts cloud listen --to "$out/samples" --json > "$out/samples.json"
show python -P ../measure_distance.py "$out/samples.json"

step '11. PEFT opens the best adapter as it is'
show python -P ../open_adapter.py "$out/checkpoints" "$out/codes"

step 'Next'
cat <<'TEXT'
  fintts init --data DIR --base-model DIR    your own speech, your own base model
  fintts estimate                            its price, before anything is rented
  fintts cloud launch --yes                  the run
TEXT
