set -e
# Finds or makes a Python that has the trainer's packages, and leaves its path to the run script.
# No module is taken from the folder that this happens in; an old Python passes over it.
export PYTHONSAFEPATH=1
# SkyPilot puts uv here.
export PATH="$PATH:$HOME/.local/bin"
set_up() {
  set -e
  venv="$PWD/../fintts-venv"
  python="$(command -v "${FINTTS_PYTHON:-python3}" || true)"
  if ! "${python:-false}" check_requirements.py requirements.in; then
    rm -rf "$venv"
    if command -v uv > /dev/null; then
      uv venv --quiet --python 3.11 "$venv"
      uv pip install --quiet --python "$venv/bin/python" --require-hashes --requirement requirements.txt
    else
      "${python:-python3}" -P -m venv "$venv"
      "$venv/bin/python" -P -m pip install --quiet --require-hashes --requirement requirements.txt
    fi
    python="$venv/bin/python"
    "$python" check_requirements.py requirements.in
  fi
  printf '%s\n' "$python" > ../fintts-python
}
export -f set_up
# What hangs in here ends after an hour, or at the deadline: until then the instance is billed.
# A clock that is behind makes no deadline later: the instance was asked for before this.
now=$(date +%s); asked=$(date -d "${FINTTS_ASKED_AT:-@0}" +%s)
left=$(( $(date -d "$FINTTS_DEADLINE_AT" +%s) - (now > asked ? now : asked) ))
left=$(( left > 3600 ? 3600 : left > 1 ? left : 1 ))
timeout --kill-after=10 "$left" bash -c set_up
