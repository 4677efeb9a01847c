#!/bin/bash
# A decode step beside a process that wants every processor: a fair share is twice the time alone, and the step may take
# twice that. usage: competing_load.sh BUILD, from the repository's root
set -euo pipefail
litelang=$1/launcher/litelang
out=$(mktemp)
others=()
trap 'rm -f "$out"; [ ${#others[@]} = 0 ] || kill "${others[@]}"' EXIT

# Milliseconds of a decode step of a model of the shape of Qwen2.5-0.5B with random weights.
step() {
  "$litelang" bench one-batch -m perf/models/qwen2.5-0.5b --load_format dummy --backend cpu --batch_size 1 \
    --input_len 32 --output_len 32 --num_iters 2 2>/dev/null >"$out"
  sed -nE 's/^Decode. *median latency: ([0-9.]+) s.*/\1/p' "$out" | awk '{print 1000 * $1}'
}

alone=$(step)
for ((i = 0; i < $(nproc); ++i)); do
  (while :; do :; done) &
  others+=($!)
done
beside=$(step)
awk -v alone="$alone" -v beside="$beside" 'BEGIN {
  printf "a decode step: %.1f ms alone, %.1f ms beside a busy process on each processor: %.1f times (at most 4)\n",
         alone, beside, beside / alone
  exit beside > 4 * alone
}'
