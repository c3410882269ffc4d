set -e
# Finds or makes a Python that has the trainer's packages, and leaves its path to the run script.
# No module is taken from the folder that this happens in; an old Python passes over it.
export PYTHONSAFEPATH=1
# SkyPilot puts uv here.
export PATH="$PATH:$HOME/.local/bin"
venv="$PWD/../fintts-venv"
python="$(command -v "${FINTTS_PYTHON:-python3}" || true)"
if ! "${python:-false}" check_requirements.py requirements.txt; then
  # A download that hangs ends at the deadline: until then the instance would be billed.
  left=$(( $(date -d "$FINTTS_DEADLINE_AT" +%s) - $(date +%s) ))
  guard="timeout --kill-after=10 $(( left > 1 ? left : 1 ))"
  rm -rf "$venv"
  if command -v uv > /dev/null; then
    $guard uv venv --quiet --python 3.11 "$venv"
    $guard uv pip install --quiet --python "$venv/bin/python" --requirement requirements.txt
  else
    $guard "${python:-python3}" -P -m venv "$venv"
    $guard "$venv/bin/python" -P -m pip install --quiet --requirement requirements.txt
  fi
  python="$venv/bin/python"
  "$python" check_requirements.py requirements.txt
fi
printf '%s\n' "$python" > ../fintts-python
