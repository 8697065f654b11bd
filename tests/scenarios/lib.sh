# shellcheck shell=bash
# Shared by the scenarios, which source it: `anomalyd` as a process of its own, against a real Kafka.
#
# usage of a scenario: tests/scenarios/NAME BUILD, where BUILD holds anomalyd and anomalyctl. The
# broker is ANOMALYD_TEST_BROKERS, or the one that ctest started (tests/CMakeLists.txt), or one of
# the scenario's own. Every run takes topics, groups and folders that nobody else has.
set -euo pipefail

build=$(cd "${1:?expected the folder of anomalyd and anomalyctl}" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
run=$(basename "$0")-$$
work=$(mktemp -d "${TMPDIR:-/tmp}/anomalyd-$run.XXXXXX")
declare -A pids=()  # of the daemons, by name
began=$SECONDS

say() { echo "[$((SECONDS - began)) s] $*"; }
die() { say "FAILED: $*" >&2; exit 1; }

clean_up() {
  local code=$? pid
  trap - EXIT
  for pid in "${pids[@]}" $(jobs -p); do kill -9 "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  [[ ! -d $work/kafka ]] || "$root/tools/kafka-local" down --dir "$work/kafka" 2>/dev/null
  if ((code == 0)); then
    rm -rf "$work"
  else
    for log in "$work"/*.log; do echo "-- the end of $log"; tail -n 5 "$log" | cut -c 1-300; done >&2
    say "configurations, logs and alerts are kept in $work" >&2
  fi
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

own_kafka() { brokers=$("$root/tools/kafka-local" up --dir "$work/kafka" | tail -n 1); }

if [[ -n ${ANOMALYD_TEST_BROKERS:-} ]]; then
  brokers=$ANOMALYD_TEST_BROKERS
elif [[ -n ${ANOMALYD_TEST_BROKERS_FILE:-} ]]; then
  brokers=$(cat "$ANOMALYD_TEST_BROKERS_FILE")
else
  own_kafka
fi

ctl() { "$build/anomalyctl" "$@"; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < end)) || die "waited too long for $what"
    sleep 0.1
  done
}

# configure NAME: a configuration that reads the topic of this run. Variables change it: the name
# of the group, of the state folder, properties of librdkafka.
configure() {
  cat >"$work/$1.yaml" <<YAML
kafka:
  brokers: [$brokers]
  group: $run-${group:-$1}
  properties: {${properties:-}}
input:
  topics: [$run]
  series: {from: [series]}
  time: {field: ts, unit: ms}
window: {period: 1m}
training: {rows: 400}
alerts: {topic: $run-${group:-$1}-alerts, budget: 1 per series per day}
state: {dir: $work/${state:-$1}, snapshot_interval: 2s}
http: {listen: "127.0.0.1:0"}
runtime: {drain_timeout: 10s}
YAML
}

start() {
  echo "-- started" >>"$work/$1.log"
  "$build/anomalyd" "$work/$1.yaml" >>"$work/$1.log" 2>&1 &
  pids[$1]=$!
}
# send TOPIC RECORD...: to the topic of this run with that ending.
send() {
  printf '%s\n' "${@:2}" | "$root/tools/kafka-local" send "$run-$1" --brokers "$brokers" --dir "$work/kafka-tools"
}
running() { kill -0 "${pids[$1]}" 2>/dev/null; }
crash() {
  kill -9 "${pids[$1]}"
  wait "${pids[$1]}" 2>/dev/null || true
}
# stop NAME: an orderly shutdown, which must end well and in time.
stop() {
  local code=0 since=$SECONDS
  kill -TERM "${pids[$1]}"
  wait_for 15 "$1 to stop" eval "! running $1"
  wait "${pids[$1]}" || code=$?
  ((code == 0)) || die "$1 exited with $code after SIGTERM; expected 0"
  say "$1 stopped within $((SECONDS - since + 1)) s"
}

# http NAME: the address that it has taken since it was started; nothing if it has none yet.
http() {
  jq -Rr 'if . == "-- started" then "" else fromjson? | .message | capture("^HTTP on (?<at>.+)$") | .at end' \
    "$work/$1.log" | tail -n 1
}

# is NAME FILTER: whether the jq filter holds of the daemon's /status.
is() {
  running "$1" || die "$1 has ended"
  ctl status --json "$(http "$1")" 2>/dev/null | jq -e "$2" >/dev/null
}

# phase NAME: what its retraining is at; "away" while it does not answer.
phase() {
  local phase
  phase=$(ctl status --json "$(http "$1")" 2>/dev/null | jq -r .retraining.phase) || true
  echo "${phase:-away}"
}

# fleet ARGUMENTS...: eight machines, ten hours without and fifteen with faults.
fleet() {
  ctl produce fleet --machines 8 --period 60s --span 25h --clean 10h --day 2h --faults 40 \
    --start 2026-01-05T00:00:00Z --quiet "$@"
}
stream() { fleet --brokers "$brokers" --topic "$run" "$@" 2>/dev/null; }
fleet_records() { fleet --stdout | wc -l; }

# finished NAME RECORDS: whether it has finished that many records of the input.
finished() { is "$1" "[.partitions[].finished_offset] | add >= $2"; }
# done_with NAME RECORDS: whether it has also learned all series, so that stopping it judges the rest.
done_with() { finished "$1" "$2" && is "$1" ".readiness.ready == 8"; }

# alerts NAME: its alert topic, one message a line.
alerts() { ctl incidents --brokers "$brokers" --topic "$run-$1-alerts" --json; }
# ids FILE: of the incidents in it.
ids() { jq -r .data.id "$1" | sort -u; }
# changed FILE...: how many messages came more than once and not alike. The same rows may have been
# scored in other batches, which changes the last digits; and so the text made of them.
changed() {
  jq -s '
    def near($a; $b): if ([$a, $b] | map(type)) == ["number", "number"]
      then ($a - $b | fabs) <= 1e-3 * ([$a, $b, 0.01] | map(fabs) | max) else $a == $b end;
    def leaves: [paths(type != "object" and type != "array")];
    def alike($a; $b): ($a | leaves) == ($b | leaves)
      and all($a | leaves[]; . as $path | near($a | getpath($path); $b | getpath($path)));
    map(del(.data.summary)) | group_by(.id)
      | map(select(.[0].data as $first | all(.[]; alike($first; .data)) | not)) | length' "$@"
}

# compare NAME REFERENCE: the alerts of both, as a table. Fails where an incident is missing or
# extra, or a message came in two versions.
compare() {
  alerts "$1" >"$work/$1.alerts"
  alerts "$2" >"$work/$2.alerts"
  local missing extra messages different changed between
  missing=$(comm -13 <(ids "$work/$1.alerts") <(ids "$work/$2.alerts") | wc -l)
  extra=$(comm -23 <(ids "$work/$1.alerts") <(ids "$work/$2.alerts") | wc -l)
  messages=$(wc -l <"$work/$1.alerts")
  different=$(jq -r .id "$work/$1.alerts" | sort -u | wc -l)
  changed=$(changed "$work/$1.alerts")
  between=$(changed "$work/$1.alerts" "$work/$2.alerts")
  cat <<TEXT
  incidents of the undisturbed run  $(ids "$work/$2.alerts" | wc -l)
  incidents of this run             $(ids "$work/$1.alerts" | wc -l)
  missing                           $missing
  extra                             $extra
  messages                          $messages
  repeated                          $((messages - different))
  repeated, but changed             $changed
  unlike the undisturbed run        $between
TEXT
  (($(ids "$work/$2.alerts" | wc -l) >= 8)) || die "the undisturbed run found too little to compare"
  ((missing + extra + changed + between == 0)) || die "the alerts of $1 are not those of $2"
}
