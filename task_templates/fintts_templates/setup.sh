set -e
# Finds or makes a Python with the trainer's packages, and writes its path for the run script.
# Never import modules from the current folder; an old Python ignores this.
export PYTHONSAFEPATH=1
# SkyPilot installs uv here.
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
# Ends a hanging set-up after an hour, or at the deadline, since the instance is billed meanwhile.
# A clock that is behind must not delay the deadline: the request for the instance came before this.
now=$(date +%s); asked=$(date -d "${FINTTS_ASKED_AT:-@0}" +%s)
left=$(( $(date -d "$FINTTS_DEADLINE_AT" +%s) - (now > asked ? now : asked) ))
left=$(( left > 3600 ? 3600 : left > 1 ? left : 1 ))
timeout --kill-after=10 "$left" bash -c set_up
