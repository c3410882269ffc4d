# The bundle alone: nothing of the machine may stand in for what the bundle lacks.
export PYTHONPATH="$PWD"
# Nor may the folder that a process happens to be in: files from the store may lie there.
export PYTHONSAFEPATH=1
# Who ends the instance watches this process.
printf '%s\n' "$$" > "$PWD/../fintts-job"
# What is said goes to the store at the end: the instance's own log ends with the instance. The copy
# outlives a signal to all, or the trainer would have nobody to write to while it saves.
export FINTTS_LOG="$PWD/../fintts-log.txt"
exec > >(trap '' TERM INT; exec tee "$FINTTS_LOG") 2>&1
# Some room for the last words and for who ends the instance, should the disk be full by then.
reserve="$PWD/../fintts-reserve"
fallocate --length 64MiB "$reserve" 2> /dev/null || rm -f "$reserve"
export FINTTS_WORKSPACE="${FINTTS_WORKSPACE:-$PWD/../fintts-workspace}"
read -r python < ../fintts-python
# A clock that is behind makes no deadline later: the instance was asked for before this.
now=$(date +%s); asked=$(date -d "${FINTTS_ASKED_AT:-@0}" +%s)
left=$(( $(date -d "$FINTTS_DEADLINE_AT" +%s) - (now > asked ? now : asked) ))
left=$(( left > 1 ? left : 1 ))
guard=""
trap 'signalled=1; [ -z "$guard" ] || kill -TERM "$guard" 2> /dev/null' TERM INT
# The guard is outside of the trainer's processes, so that a hung one, too, ends at the deadline.
timeout --signal=TERM --kill-after=120 "$left" \
  "$python" -P -m fintts_trainer run &
guard=$!
# A guard that is stopped does not wake up at the deadline: then this ends it and all that it started.
late=$(( left + 125 ))
( trap 'kill "$nap"; exit' TERM; sleep "$late" & nap=$!
  wait "$nap" && kill -KILL -- "-$guard" ) > /dev/null 2>&1 &
last=$!
# A signal ends `wait` while the trainer still saves: wait for its own end.
signalled=1
while [ -n "$signalled" ]; do
  signalled=""
  code=0
  wait "$guard" || code=$?
done
rm -f "$reserve"
kill "$last" 2> /dev/null || true
# A minute in all: with it the budget was planned.
timeout --kill-after=5 50 "$python" -P -m fintts_trainer conclude --exit-code "$code" || true
exit "$code"
