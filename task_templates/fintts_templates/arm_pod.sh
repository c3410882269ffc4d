# A pod has a key that ends this pod alone. A guard outside of SkyPilot's reach uses it as soon as
# neither set-up nor job is left for the idle minutes, or when everything must be over.
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
# SkyPilot's sessions lack the variables of the pod; SkyPilot keeps them in this file.
kept=/etc/profile.d/container_env_var.sh
[ -n "${RUNPOD_POD_ID:-}" ] || [ ! -r "$kept" ] || . <(grep -E '^(declare -x|export) RUNPOD_' "$kept")
if [ -z "${RUNPOD_POD_ID:-}" ] || [ -z "${RUNPOD_API_KEY:-}" ]; then
  echo "nothing would end this pod: it has no key of its own (RUNPOD_POD_ID, RUNPOD_API_KEY)" >&2
  exit 1
fi
rm -f "$PWD/../fintts-job"
# A clock that is behind makes no end later: the instance was asked for before this.
now=$(date +%s); asked=$(date -d "${FINTTS_ASKED_AT:-@0}" +%s)
export RUNPOD_POD_ID RUNPOD_API_KEY
( left=$(( $(date -d "$FINTTS_OVER_AT" +%s) - (now > asked ? now : asked) )) \
    idle=$(( idle_minutes * 60 )) setup=$$ job_file="$PWD/../fintts-job" \
    setsid nohup bash -c "$guard" fintts-guard > /dev/null 2>&1 < /dev/null & )
