# A pod has a key that can end only this pod. A guard that SkyPilot does not control ends the pod with
# it once neither set-up nor job has run for the idle minutes, or when the time is up.
guard='
step=10 quiet=0
while [ "$left" -gt 0 ] && [ "$quiet" -lt "$idle" ]; do
  sleep "$step"
  left=$((left - step)) quiet=$((quiet + step)) job=""
  [ ! -r "$job_file" ] || read -r job < "$job_file"
  for process in "$setup" $job; do kill -0 "$process" && quiet=0; done
done
ask="{\"query\": \"mutation { podTerminate(input: { podId: \\\"$RUNPOD_POD_ID\\\" }) }\"}"
while :; do
  answer=$(printf "oauth2-bearer = %s\n" "$RUNPOD_API_KEY" |
    curl --config - --fail --silent --max-time 30 --header "Content-Type: application/json" \
      --data "$ask" "${RUNPOD_API_BASE_URL:-https://api.runpod.io}/graphql") &&
    [ "${answer#*\"errors\"}" = "$answer" ] && exit
  sleep "$step"
done'
# SkyPilot's sessions lack the pod's variables, but SkyPilot keeps them in this file.
kept=/etc/profile.d/container_env_var.sh
[ -n "${RUNPOD_POD_ID:-}" ] || [ ! -r "$kept" ] || . <(grep -E '^(declare -x|export) RUNPOD_' "$kept")
if [ -z "${RUNPOD_POD_ID:-}" ] || [ -z "${RUNPOD_API_KEY:-}" ]; then
  echo "this pod could not end itself: RUNPOD_POD_ID or RUNPOD_API_KEY is missing" >&2
  exit 1
fi
rm -f "$PWD/../fintts-job"
# A clock that is behind must not delay the end: the request for the instance came before this.
now=$(date +%s); asked=$(date -d "${FINTTS_ASKED_AT:-@0}" +%s)
export RUNPOD_POD_ID RUNPOD_API_KEY
( left=$(( $(date -d "$FINTTS_OVER_AT" +%s) - (now > asked ? now : asked) )) \
    idle=$(( idle_minutes * 60 )) setup=$$ job_file="$PWD/../fintts-job" \
    setsid nohup bash -c "$guard" fintts-guard > /dev/null 2>&1 < /dev/null & )
