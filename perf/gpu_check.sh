#!/bin/bash
# All that can be said of this program on a machine with GPUs, Hopper's preferably: builds it, runs the GPU tests,
# the sanitizers on small cases, the micro-benchmarks and the benchmarks of README.md's numbers.
# Prints a table last, and writes it to a file. Fails when anything did.
# usage: perf/gpu_check.sh [--quick] [--build DIR] [--output FILE]
#   --quick       what fits into 4 minutes with 16 cores; what does not is named
#   --build DIR   a finished build of preset release with LITELANG_CUDA=ON: nothing is configured or built
#   --output FILE where the table goes besides the terminal, default gpu_check.txt in the build folder
set -uo pipefail
cd "$(dirname "$0")/.."

quick=false build=build/release is_built=false output=
stop() { echo "gpu_check: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=true ;;
    --build) [ $# -gt 1 ] || stop "--build needs a folder"; build=$2 is_built=true; shift ;;
    --output) [ $# -gt 1 ] || stop "--output needs a file"; output=$2; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) stop "unknown option $1; --help lists them" ;;
  esac
  shift
done
output=${output:-$build/gpu_check.txt}
export PATH=$PATH:/usr/local/cuda/bin
export NCCL_NVLS_ENABLE=0  # multicast is not up on every node, and asking for it then hangs
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')
[ "$gpus" -gt 0 ] && [ -n "${CUDA_VISIBLE_DEVICES:-}" ] && gpus=$(awk -F, '{print NF}' <<<"$CUDA_VISIBLE_DEVICES")
[ "$gpus" -gt 0 ] || stop "no GPU here: nvidia-smi lists none"
$is_built && [ ! -x "$build/launcher/litelang" ] && stop "$build/launcher/litelang: not there; build it or leave --build out"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
touch "$results/steps" "$results/rows"
limit=$($quick && echo 225 || echo 100000)  # seconds of it all

# step SECONDS NAME COMMAND...: at most so long; its end is noted. 77 is a test that was skipped.
step() {
  local most=$1 name=$2 begin=$SECONDS code left=$((limit - SECONDS))
  shift 2
  [ "$left" -ge 5 ] || { echo "left out: no time|$name|" >>"$results/steps"; return 0; }
  printf '\n=== %s\n' "$name"
  timeout -k 10 "$((most < left ? most : left))" "$@" </dev/null
  code=$?
  case $code in
    0) echo "passed|$name|$((SECONDS - begin)) s" ;;
    77) echo "skipped|$name|" ;;
    124 | 137) $quick && echo "cut off|$name|$((SECONDS - begin)) s" || echo "FAILED|$name|too slow" ;;
    *) echo "FAILED|$name|exit code $code" ;;
  esac >>"$results/steps"
  return $code
}

# --- build -------------------------------------------------------------------------------------
build_all() {
  local targets=()
  $quick && targets=(--target litelang litelang-run test_ops test_golden bench_attention bench_linear
                     bench_fused_decode bench_comm)
  cmake/install_dependencies.sh build && cmake --preset release -DLITELANG_CUDA=ON --log-level=WARNING &&
    cmake --build "$build" -j "$(nproc)" "${targets[@]}" | tail -3
}
if ! $is_built; then
  begin=$SECONDS
  build_all || stop "the build failed"
  echo "passed|build|$((SECONDS - begin)) s" >>"$results/steps"
fi

# --- tests and sanitizers ----------------------------------------------------------------------
# Where there are half as many GPUs as ranks, two of these take turns on each.
$quick || export LITELANG_SHARE_GPUS=1
gpu_test() { step 900 "$1, $2 rank(s)$family" tests/support/gpurun.sh "$2" "$build/tests/$1"; }
# portable COMMAND...: with the kernels of any GPU.
family=
portable() { LITELANG_CUDA_FAMILY=sm80 family=', sm80' "$@"; }
if $quick || $is_built; then
  for kernels in '' portable; do
    $kernels gpu_test test_ops 1
    $kernels gpu_test test_golden 1
  done
  if ! $quick; then
    for kernels in '' portable; do
      for np in 1 2 4; do $kernels gpu_test test_gpu "$np"; done
      for np in 2 4; do $kernels gpu_test test_golden "$np"; done
    done
  fi
else
  step 3000 'ctest -L gpu' ctest --test-dir "$build" -L gpu --output-on-failure
fi

# Products run our own kernels, without the timing that chooses: the library's many candidates take
# minutes under racecheck. It does not see that a warp's lanes come before the one of them that arrives
# at a barrier, so that it gets no prompts of which a block attends several.
small='add_rms_norm,gather_rows,embed takes*,rope *,page tables*,linear with SiLU*,attention of decode rows,greedy takes*,penalties*,log-sum-exp*'
more="$small,a product that ends*,a norm done*,linear: every ring*,linear over*,linear: SiLU*,attention of*,one long*,decode rows and chunks*,what is accepted*,a decode step in one kernel? few*"
wide="$more,attention*,linear: every kernel*,a decode step in one kernel*"
# sanitize TOOL SECONDS CASES: what it finds is a failure even when it is cut off.
sanitize() {
  local log=$results/sanitizer
  step "$2" "compute-sanitizer $1" env LITELANG_TEST_BACKEND=cuda LITELANG_LINEAR=first \
    compute-sanitizer --tool "$1" --error-exitcode 9 --print-limit 5 "$build/tests/test_ops" \
    --test-case="$3" 2>&1 | tee "$log"
  grep -qE '^=+ (Error|Warning|Invalid)' "$log" && grep -q "^cut off|compute-sanitizer $1" "$results/steps" &&
    echo "FAILED|compute-sanitizer $1|found something before it was cut off" >>"$results/steps"
}
unset LITELANG_SHARE_GPUS
if command -v compute-sanitizer >/dev/null; then
  sanitize memcheck "$($quick && echo 20 || echo 300)" "$($quick && echo "$small" || echo "$wide")"
  sanitize racecheck "$($quick && echo 20 || echo 300)" "$($quick && echo "$small" || echo "$more")"
else
  echo 'left out: not installed|compute-sanitizer|' >>"$results/steps"
fi

# --- micro-benchmarks --------------------------------------------------------------------------
if $quick; then
  step 15 'bench_attention, 64 x 4096' "$build/perf/bench_attention" '64 x 4096'
  step 15 'bench_linear' "$build/perf/bench_linear" --models 1.5b --rows 1,64,2048
  step 15 'bench_fused_decode' "$build/perf/bench_fused_decode" --models 1.5b --contexts 600
else
  step 300 'bench_attention' "$build/perf/bench_attention"
  portable step 300 'bench_attention, sm80' "$build/perf/bench_attention"
  step 300 'bench_linear' "$build/perf/bench_linear" --models 1.5b,7b --rows 1,8,64,256,2048
  portable step 300 'bench_linear, sm80' "$build/perf/bench_linear" --models 1.5b,7b --rows 1,8,64,256,2048
  step 300 'bench_fused_decode' "$build/perf/bench_fused_decode"
fi
for np in 2 4; do
  [ "$np" -le "$gpus" ] && { ! $quick || [ "$np" = 2 ]; } &&
    step 120 "bench_comm, $np GPUs" mpirun -np "$np" --oversubscribe --bind-to none \
      "$build/perf/bench_comm" --parts reduce --hidden 1536,3584 --rows 1,64,256
done

# --- the program -------------------------------------------------------------------------------
# field NAME FILE: a number of a line of JSON.
field() { sed -n "s/.*\"$1\":\([-+0-9.eE]*\).*/\1/p" "$2"; }

# row NP MODEL PRESET PEER GOAL: measures one workload. PEER is vLLM 0.26's figure on an H200, GOAL
# what is to be reached; - where there is none.
row() {
  local np=$1 model=$2 preset=$3 peer=$4 goal=$5 kind unit value floor seconds
  local json=$results/$model-$preset-$np$family.json more=() parallel=(--tp "$np")
  [ "$np" -le "$gpus" ] || return 0
  case $preset in
    single) kind=one-batch unit='tok/s' value=median_decode_throughput floor=decode_floor seconds=median_decode_latency ;;
    prefill) kind=one-batch unit='ms' value=prefill_latency floor=prefill_floor seconds=prefill_latency ;;
    seed-prefill) kind=one-batch unit='ms' value=prefill_latency floor=prefill_floor seconds=prefill_latency ;;
    seed-decode) kind=latency unit='tok/s' value=output_throughput floor=floor_seconds seconds=50 ;;
    startup) kind=startup unit='s' value=first_token_time floor= seconds= ;;
    *) kind=throughput unit='tok/s' value=output_throughput floor=floor_seconds seconds=elapsed_time ;;
  esac
  if [ "$preset" = nano2048 ]; then
    more+=(--preset nano --num_prompts 2048 --num_iters_warmup 0)
  elif [ "$preset" = replicas ]; then
    more+=(--preset nano --num_prompts 2048) parallel=(--dp "$np")
  elif [ "$kind" != startup ]; then
    more+=(--preset "$preset")
  fi
  $quick && [ "$preset" = seed-decode ] && more+=(--num-iters 1)
  step 300 "bench $preset, $model, $np GPU(s)$family" "$build/launcher/litelang" bench "$kind" \
    --model "perf/models/qwen2.5-$model" --load-format dummy --backend cuda "${parallel[@]}" \
    --output-json "$json" "${more[@]}" || return 0
  [ -s "$json" ] || return 0
  awk -v value="$(field "$value" "$json")" -v unit="$unit" -v floor="$(field "${floor:-none}" "$json")" \
    -v seconds="$(field "${seconds:-none}" "$json")" -v name="$preset$family|$model|$np" -v peer="$peer" -v goal="$goal" '
    BEGIN {
      if (unit == "ms") value *= 1e3
      digits = value < 100 ? "%.2f" : "%.0f"
      share = seconds > 0 ? sprintf("%.0f%%", 100 * floor / seconds) : "-"
      printf "%s|" digits " %s|%s|%s|%s\n", name, value, unit, share, peer, goal
    }' >>"$results/rows"
}

row 1 1.5b single 509 850
row 1 0.5b single 631 1300
row 1 7b single 212 245
row 1 1.5b seed-decode 11500 22000
row 1 1.5b prefill 91 90
row 1 0.5b nano 34500 60000
row 1 1.5b nano 28000 40000
row 1 1.5b shared-prefix 13800 50000
row 1 7b prefill 350 420
row 2 7b single 311 400
row 4 7b single 397 600
row 1 7b startup 65-92 10
row 4 7b nano 23200 30000
row 1 0.5b prefill 38 40
row 1 0.5b seed-decode 17200 34000
row 1 0.5b shared-prefix 24300 100000
row 1 7b seed-decode 6200 7400
row 1 7b nano 12100 13000
row 1 7b shared-prefix 8450 15500
portable row 1 1.5b nano 28000 22400
portable row 1 7b nano 12100 9680
portable row 1 1.5b single 509 509
portable row 1 7b single 212 212
portable row 1 0.5b single 631 631
portable row 1 1.5b prefill 91 -
if ! $quick; then
  for model in 0.5b 1.5b 7b; do
    for preset in seed-prefill shared-groups choices sampled logprobs; do row 1 $model $preset - -; done
  done
  row 1 1.5b nano2048 20600 55000
  row 1 7b nano2048 13860 16600
  portable row 1 0.5b nano 34500 -
  portable row 1 0.5b seed-decode 17200 -
  portable row 1 1.5b seed-decode 11500 -
  portable row 1 7b seed-decode 6200 -
  portable row 1 7b prefill 350 -
  portable row 1 1.5b shared-prefix 13800 -
  portable row 2 7b single 311 -
  portable row 2 7b nano 18600 -
  row 2 1.5b single - -
  row 4 1.5b single 492 -
  row 2 7b nano 18600 -
  row 4 1.5b nano 35700 -
  row 2 7b seed-decode 9000 -
  row 4 7b seed-decode 12100 -
  row 2 7b prefill 211 -
  row 4 7b prefill 135 -
  for model in 1.5b 7b; do for np in 1 2 4; do row $np $model replicas - -; done; done
  for np in 2 4; do
    [ "$np" -le "$gpus" ] && for model in 1.5b 7b 14b; do
      step 300 "bench grids, $model, $np GPUs" "$build/launcher/litelang" bench grids \
        --model "perf/models/qwen2.5-$model" --backend cuda --gpus "$np"
    done
  done
fi

# --- the table ---------------------------------------------------------------------------------
print_table() {
  echo "litelang on $gpus x $(nvidia-smi --query-gpu=name --format=csv,noheader | head -1), driver $(
    nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1), $(git rev-parse --short HEAD 2>/dev/null || echo 'no git')"
  echo "batch-1 decode at context 600 (single), 40 x 600 in, 600 out (seed-decode), nano at temperature 0.6, 2048 of its requests on"
  echo "replicas (replicas); bf16, random weights"
  echo
  awk -F'|' '
    BEGIN { printf "%-20s %-5s %3s %14s %9s %10s %9s\n", "workload", "model", "np", "measured", "of floor", "vLLM 0.26", "to reach" }
    { printf "%-20s %-5s %3s %14s %9s %10s %9s\n", $1, $2, $3, $4, $5, $6, $7 }' <(sort -t'|' -k1,1 -k3,3n -k2,2 "$results/rows")
  echo
  awk -F'|' '{ printf "%-24s %s%s\n", $1, $2, $3 == "" ? "" : " (" $3 ")" }' <(grep -v '^passed|bench ' "$results/steps")
  echo "$SECONDS s"
}
printf '\n'
mkdir -p "$(dirname "$output")"
print_table | tee "$output"
! grep -q '^FAILED' "$results/steps"
