#!/bin/bash
# The scripts of configs/slurm/ and the program itself under a real Slurm of this machine, on the CPU.
# usage: test_slurm.sh PROGRAMS MODEL       exit code 77: there is no Slurm here, or no root
set -u
programs=$1 model=$2
source_folder=$(cd "$(dirname "$0")/../.." && pwd)
. "$source_folder/tests/support/checks.sh"
for needed in slurmctld slurmd munged srun sbatch; do
  command -v $needed > /dev/null || { echo "no $needed here (Debian: slurm-wlm munge)"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo 'munged and slurmd need root'; exit 77; }

folder=$(mktemp -d /tmp/litelang-slurm-XXXXXX)
export PATH=$programs:$PATH SLURM_CONF=$folder/cluster/slurm.conf HWLOC_HIDE_ERRORS=2 SOURCE_DATE_EPOCH=0
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_WAIT_POLICY=passive
finish() {
  timeout 10 scancel --user=root 2> /dev/null
  "$source_folder/tests/support/slurm_local.sh" stop "$folder/cluster"
  leave "$folder"
}
trap finish EXIT

timeout 60 "$source_folder/tests/support/slurm_local.sh" start "$folder/cluster" 4 || exit 1
cd "$folder"
for i in $(seq 400); do
  echo '{"custom_id": "r'$i'", "method": "POST", "url": "/v1/completions", "body": {"prompt": "The kernel '$i'", "max_tokens": 24, "ignore_eos": true}}'
done > all.jsonl
head -40 all.jsonl > few.jsonl
cat > job.yaml <<C
model: {path: $model, dtype: float32}
backend: cpu
threads: 1
kv_cache: {memory_bytes: 40MB, radix: false}
scheduler: {max_num_seqs: 8}
job: {type: batch, input: few.jsonl, output: out.jsonl}
step_timeout_s: 60
C
run() { timeout -k 5 60 "$@"; }  # with a limit
answers() { sort "$@" | sha256sum; }
ids() { sed -n 's/.*"custom_id":"\([^"]*\)".*/\1/p' "$@" | sort | uniq | wc -l; }
has_answers() {  # FILE COUNT: waits for them
  for _ in $(seq 300); do
    [ -f "$1" ] && [ "$(wc -l < "$1")" -ge "$2" ] && return
    sleep 0.1
  done
  return 1
}
state() { scontrol -o show job "$1" | grep -o "$2=[^ ]*" | head -1 | cut -d= -f2; }
becomes() {  # JOB STATE: waits for it
  for _ in $(seq 300); do
    case $(state "$1" JobState) in $2) return 0 ;; esac
    sleep 0.2
  done
  state "$1" JobState
  return 1
}
# What the scripts ask for, cut down to this machine.
small='--gpus-per-node=0 --gpus-per-task=0 --cpus-per-task=1'

for np in 2 4; do
  run srun --mpi=pmix -n $np litelang-run job.yaml --set job.output=np$np.jsonl > np$np.log 2>&1
  check "srun --mpi=pmix on $np tasks" test $? = 0
done
check '2 and 4 tasks give the same answers' test "$(answers np2.jsonl)" = "$(answers np4.jsonl)"
run srun --mpi=pmix -n 2 litelang-run job.yaml --set job.output=np2.jsonl > again.log 2>&1
check 'a job that is complete ends at once' grep -q 'is complete; all of its 40 lines' again.log

for mpi in none pmi2; do
  run srun --mpi=$mpi -n 2 litelang-run job.yaml --set job.output=$mpi.jsonl > $mpi.log 2>&1
  check "srun --mpi=$mpi fails" test $? != 0
  check "and says what to type" grep -q 'srun --mpi=pmix' $mpi.log
  check "in one line: $(wc -l < $mpi.log)" test "$(grep -vc '^srun: ' $mpi.log)" = 1
done

run salloc --quiet -n 2 mpirun litelang-run job.yaml --set job.output=mpirun.jsonl > mpirun.log 2>&1
check 'mpirun inside an allocation' test $? = 0
check 'takes its tasks' grep -q '2 ranks' mpirun.log
run salloc --quiet -n 2 litelang-run job.yaml --set job.output=alone.jsonl > alone.log 2>&1
check 'litelang-run alone in an allocation says so' grep -q 'one rank in an allocation of 2 tasks' alone.log

array=$(sbatch --parsable $small --array=1-3 "$source_folder/configs/slurm/array.sbatch" job.yaml part --set job.input=all.jsonl)
for i in 1 2 3; do check "array task $i" becomes "${array}_$i" COMPLETED; done
check 'parts of an array are the whole' test "$(ids part.1.jsonl part.2.jsonl part.3.jsonl)" = 400

script=$source_folder/configs/slurm/requeue.sbatch
whole=$(sbatch --parsable $small --ntasks-per-node=2 "$script" job.yaml --set job.input=all.jsonl --set job.output=whole.jsonl)
check 'a job in one life' becomes "$whole" COMPLETED
job=$(sbatch --parsable $small --ntasks-per-node=2 "$script" job.yaml --set job.input=all.jsonl --set job.output=lives.jsonl)
before=0
for life in 1 2; do
  check "life $life answers" has_answers lives.jsonl.partial $((before + 30))
  scancel --signal=USR1 "$job"
  check "life $life goes back into the queue" becomes "$job" PENDING
  before=$(wc -l < lives.jsonl.partial)
  sleep 3  # Slurm refuses to start it sooner
  scontrol update jobid="$job" StartTime=now
done
check 'the third ends it' becomes "$job" COMPLETED
check 'it had three lives' test "$(state "$job" Restarts)" = 2
check 'which gave the same answers as one' test "$(answers lives.jsonl)" = "$(answers whole.jsonl)"
echo "        $(grep -h 'run again to go on' litelang-"$job".log)"

job=$(sbatch --parsable $small --ntasks-per-node=2 "$source_folder/configs/slurm/one_node.sbatch" job.yaml --set job.input=all.jsonl --set job.output=cancelled.jsonl)
check 'a job to cancel answers' has_answers cancelled.jsonl.partial 20
scancel "$job"
check "scancel ends it" becomes "$job" CANCELLED
check 'before its end' test ! -e cancelled.jsonl
run srun --mpi=pmix -n 2 litelang-run job.yaml --set job.input=all.jsonl --set job.output=cancelled.jsonl > cancelled.log 2>&1
check 'and it is gone on with' grep -q 'answered before' cancelled.log
check 'to the same answers' test "$(answers cancelled.jsonl)" = "$(answers whole.jsonl)"

cat > serve.yaml <<C
model: {path: $model}
backend: cpu
threads: 1
kv_cache: {memory_bytes: 40MB}
job: {type: serve}
C
job=$(sbatch --parsable $small --ntasks-per-node=2 "$source_folder/configs/slurm/serve.sbatch" serve.yaml)
check 'a server writes its address' has_answers "litelang-$job.url" 1
ask() { curl -sS --max-time 20 "$(cat "litelang-$job.url")/v1/completions" -d '{"prompt": "The kernel", "max_tokens": 8}' \
        -H 'Content-Type: application/json' "$@"; }
check 'it answers who has the key' grep -q '"completion_tokens":8' <(ask -H "Authorization: Bearer $(cat litelang.key)")
check 'and nobody else' grep -q invalid_api_key <(ask)
check 'nobody else reads the key' test "$(stat -c %a litelang.key)" = 600
scancel --signal=USR1 "$job"
check 'USR1 ends it well' becomes "$job" COMPLETED
check 'the address is gone with it' test ! -e "litelang-$job.url"
exit $failed
