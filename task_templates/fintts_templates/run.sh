# Only the bundle, so that nothing on the machine replaces a module that the bundle lacks.
export PYTHONPATH="$PWD"
# Nor does the current folder, which may contain files from the store.
export PYTHONSAFEPATH=1
# What ends the instance watches this process.
printf '%s\n' "$$" > "$PWD/../fintts-job"
# The output goes to the store at the end, because the instance's own log disappears with it. `tee`
# survives a signal to the whole group, so that the trainer can still write while it saves.
export FINTTS_LOG="$PWD/../fintts-log.txt"
exec > >(trap '' TERM INT; exec tee "$FINTTS_LOG") 2>&1
# Reserves space for the last log lines and for ending the instance, in case the disk fills up.
reserve="$PWD/../fintts-reserve"
fallocate --length 64MiB "$reserve" 2> /dev/null || rm -f "$reserve"
export FINTTS_WORKSPACE="${FINTTS_WORKSPACE:-$PWD/../fintts-workspace}"
read -r python < ../fintts-python
# A clock that is behind must not delay the deadline: the request for the instance came before this.
now=$(date +%s); asked=$(date -d "${FINTTS_ASKED_AT:-@0}" +%s)
left=$(( $(date -d "$FINTTS_DEADLINE_AT" +%s) - (now > asked ? now : asked) ))
left=$(( left > 1 ? left : 1 ))
guard=""
trap 'signalled=1; [ -z "$guard" ] || kill -TERM "$guard" 2> /dev/null' TERM INT
# The guard is not one of the trainer's processes, so it also ends a hung trainer at the deadline.
timeout --signal=TERM --kill-after=120 "$left" \
  "$python" -P -m fintts_trainer run &
guard=$!
# A suspended guard does not wake up at the deadline; then this kills it and all its processes.
late=$(( left + 125 ))
( trap 'kill "$nap"; exit' TERM; sleep "$late" & nap=$!
  wait "$nap" && kill -KILL -- "-$guard" ) > /dev/null 2>&1 &
last=$!
# A signal interrupts `wait` while the trainer still saves, so wait for its actual end.
signalled=1
while [ -n "$signalled" ]; do
  signalled=""
  code=0
  wait "$guard" || code=$?
done
rm -f "$reserve"
kill "$last" 2> /dev/null || true
# A minute in total, which the budget allows for.
timeout --kill-after=5 50 "$python" -P -m fintts_trainer conclude --exit-code "$code" || true
exit "$code"
