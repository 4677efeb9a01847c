#!/bin/bash
# A job over several hosts that are network namespaces of this machine: what it needs there, and how it ends when a rank,
# a host or a link does.
# usage: test_hosts.sh PROGRAMS MODELS       exit code 77: namespaces are not allowed here
set -u
programs=$(cd "$1" && pwd) models=$(cd "$2" && pwd) limit=3
source_folder=$(cd "$(dirname "$0")/../.." && pwd)
. "$source_folder/tests/support/checks.sh"
hosts=$source_folder/tests/support/netns_hosts.sh
name=ll$$
if ! { "$hosts" start "$name" 3 && "$hosts" on "$name" 2 true; } 2> /dev/null; then
  "$hosts" stop "$name" 2> /dev/null
  echo 'network namespaces are not allowed here (they need root and iproute2): nothing was tested'
  exit 77
fi

folder=$(mktemp -d /tmp/litelang-hosts-XXXXXX)
mark=LITELANG_TEST_MARK=$name
# All that mpirun needs to know; the front passes it on.
export OMPI_MCA_plm_rsh_agent="$hosts rsh $name" OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_if_include=10.99.0.0/24
export OMPI_MCA_oob_tcp_if_include=10.99.0.0/24 OMPI_MCA_btl_tcp_disable_family=6 OMPI_MCA_orte_default_hostfile=$folder/hostfile
export OMPI_MCA_mca_base_env_list='HWLOC_HIDE_ERRORS;SOURCE_DATE_EPOCH;LITELANG_TEST_MARK;LITELANG_FAULT'
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 OMP_WAIT_POLICY=passive
export HWLOC_HIDE_ERRORS=2 SOURCE_DATE_EPOCH=0 LITELANG_TEST_MARK=$name LITELANG_FAULT=

with() { grep -slxz "$1" /proc/[0-9]*/environ | cut -d/ -f3; }  # the processes that have this in their environment
named() {  # NAMES, and on standard input processes: those that are called so
  while read -r pid; do
    case " $1 " in *" $(cat "/proc/$pid/comm" 2> /dev/null || echo gone) "*) echo "$pid" ;; esac
  done
}
family() { with "$mark" | named 'litelang litelang-run mpirun orted'; }  # the processes of a job
rank() { comm -12 <(family | sort) <(with "OMPI_COMM_WORLD_RANK=$1" | sort); }
daemon() { for pid in $(with "$mark" | named orted); do [ "$(ip netns identify "$pid")" = "$name-$1" ] && echo "$pid"; done; }
finish() {
  for pid in $(family); do kill -9 "$pid" 2> /dev/null; done
  "$hosts" stop "$name"
  leave "$folder"
}
trap finish EXIT
says() { grep -qE "$1" "$log"; }
line_count() { [ "$(grep -c '^litelang-run: ' "$log")" = "$1" ]; }

cd "$folder"
request() { echo '{"custom_id": "r'$1'", "method": "POST", "url": "/v1/completions", "body": {"prompt": "The kernel '$1'", "max_tokens": '$2', "ignore_eos": true}}'; }
for i in $(seq 12); do request "$i" 8; done > few.jsonl
{ request 0 2; for i in $(seq 300); do request "$i" 3000; done; } > many.jsonl
cp "$models/tiny-qwen2-docs.h5" model.h5
on_hosts() {  # RANKS-A-HOST...: a host each
  local host=1
  for slots in "$@"; do echo "10.99.0.$((host++)) slots=$slots"; done > hostfile
}
job() {  # INPUT OUTPUT KEY=VALUE...: litelang-run's arguments
  local input=$1 output=$2
  shift 2
  printf '%s\n' model.path=model.h5 model.dtype=float32 backend=cpu threads=1 kv_cache.memory_bytes=40MB kv_cache.radix=false \
    scheduler.max_num_seqs=8 step_timeout_s=$limit "job.input=$input" "job.output=$output" "$@" | sed 's/^/--set\n/'
}
# The other hosts have a copy of the model, and nothing else, under the job's folder.
export HOST_SETUP="mkdir -p $folder && cp '$models/tiny-qwen2-docs.h5' $folder/model.h5 && cd $folder"
all_gone() { for _ in $(seq 30); do [ -z "$(family)" ] && return; sleep 0.1; done; }
start() {  # RANKS INPUT NAME KEY=VALUE...: in the background, once the job before has left; sets `job`, `log`
  local ranks=$1 input=$2
  all_gone
  log=$3.log output=$3.out
  shift 3
  mapfile -t arguments < <(job "$input" "$output" "$@")
  timeout -k 5 100 "$hosts" on "$name" 1 mpirun --quiet --bind-to none -np "$ranks" "$programs/litelang-run" "${arguments[@]}" > "$log" 2>&1 &
  job=$!
}
run() { start "$@"; wait $job; code=$?; }
has_begun() {  # the first, short request is answered, and ranks have told each other that they step
  for _ in $(seq 200); do [ -s "$output.partial" ] && sleep 0.5 && return; sleep 0.1; done
  return 1
}
ends() {  # WHAT FORM: the job ends in time, with one line of this form, and nothing is left
  local what=$1 form=$2 begin=$EPOCHREALTIME
  wait $job 2> /dev/null
  code=$?
  local seconds
  seconds=$(echo "$EPOCHREALTIME - $begin" | bc)
  all_gone
  local total
  total=$(echo "$EPOCHREALTIME - $begin" | bc)
  echo "        $what: exit code $code after $seconds s, all gone after $total s"
  check "$what: in time" test "$(echo "$total < $limit + 5" | bc)" = 1
  check "$what: not 0" test "$code" != 0
  check "$what: nothing is left" test -z "$(family)"
  check "$what: $form" says "$form"
  check "$what: one line" line_count 1
  for pid in $(family); do kill -9 "$pid" 2> /dev/null; done
}
place='\(CPU, [^)]*\)'

# Answers.
on_hosts 2 2
run 4 few.jsonl two_by_two step_timeout_s=50
check 'two hosts of two ranks each, and nothing on the second but the model and the program' test "$code" = 0
mapfile -t arguments < <(job few.jsonl one.out step_timeout_s=50)
log=one.log
timeout -k 5 60 mpirun --quiet --bind-to none --oversubscribe --mca orte_default_hostfile none -np 4 "$programs/litelang-run" "${arguments[@]}" > one.log 2>&1
are_same() { [ -s "$1" ] && [ -s "$2" ] && cmp <(sort "$1") <(sort "$2"); }
check 'the answers are those of one host' are_same one.out two_by_two.out
on_hosts 1 1 1
run 3 few.jsonl replicas grid.dp=3 step_timeout_s=50
check 'a replica on each of three hosts' are_same one.out replicas.out

# What ranks must have in common.
on_hosts 1 1
HOST_SETUP=true run 2 few.jsonl no_model
check 'no model there: exit code 1' test "$code" = 1
check 'no model there: by rank, host and path' says "rank 1 on $name-host2: .*model.h5: "
HOST_SETUP="mkdir -p $folder && cp '$models/random-hd64.h5' $folder/model.h5 && cd $folder" run 2 few.jsonl other_model
check 'another model there: exit code 2' test "$code" = 2
check 'another model there: by rank and host' says "^litelang-run: rank 1 on $name-host2 has the model [0-9a-f]{64}, rank 0 on $name-host1 has"
check 'another model there: one line' line_count 1

# A signal.
start 2 many.jsonl signal job.grace=0
has_begun && kill -USR1 "$(rank 1)"
wait $job
check 'SIGUSR1 to a rank of another host stops the job' test $? = 75
check 'SIGUSR1 to a rank of another host: says so' says 'SIGUSR1 came: 1 of 301 answered'

# Ends.
start 2 many.jsonl killed
has_begun && kill -9 "$(rank 1)"
ends 'a killed rank of another host' "^litelang-run: rank 0 on $name-host1 $place: ended in step [0-9]+.*: rank 1 on $name-host2 $place died in step [0-9]+"

start 2 many.jsonl first_killed
has_begun && kill -9 "$(rank 0)"
ends 'a killed rank 0' "^litelang-run: rank 1 on $name-host2 $place: ended .*: rank 0 on $name-host1 $place died in step [0-9]+"

start 2 many.jsonl stopped
has_begun && kill -STOP "$(rank 1)"
ends 'a stopped rank of another host' "^litelang-run: rank 0 on $name-host1 $place: (ended|no progress for $limit s) in step [0-9]+.*[:;] rank 1 on $name-host2 $place has said nothing for [0-9.]+ s, since it was in step [0-9]+"

start 2 many.jsonl first_stopped
has_begun && kill -STOP "$(rank 0)"
ends 'a stopped rank 0' "^litelang-run: rank 1 on $name-host2 $place: .*: rank 0 on $name-host1 $place has said nothing for"

start 2 many.jsonl daemon_killed
has_begun && kill -9 "$(daemon 2)"
ends 'a killed daemon' "rank 1 on $name-host2 $place died in step"

start 2 many.jsonl link
has_begun && ip -n "$name-2" link set net0 down
ends 'a link that goes down' "^litelang-run: rank 0 on $name-host1 $place: .*rank 1 on $name-host2 $place has said nothing for"
ip -n "$name-2" link set net0 up

LITELANG_FAULT=load:1:0 start 2 many.jsonl loading step_timeout_s=$((limit + 1))
for _ in $(seq 200); do says 'memory of a rank' && break; sleep 0.1; done
sleep 0.5
ip -n "$name-2" link set net0 down
ends 'a link that goes down while weights load' "^litelang-run: rank 0 on $name-host1 $place: .*rank 1 on $name-host2 $place has said nothing for .*while loading weights"
ip -n "$name-2" link set net0 up

mapfile -t arguments < <(job many.jsonl front.out)
log=front.log output=front.out
timeout -k 5 60 "$hosts" on "$name" 1 "$programs/litelang" batch --tp 2 "${arguments[@]}" > "$log" 2>&1 &
job=$!
has_begun && ip -n "$name-2" link set net0 down
ends 'a link that goes down, with litelang in front' "^litelang-run: rank 0 on $name-host1 $place: .*rank 1 on $name-host2 $place has said nothing for"
check 'litelang in front: exit code 1' test "$code" = 1
check 'litelang in front: says why' says '^litelang: .*ended by signal 16 .*: it was a rank that did it, as mpirun waited for one'
