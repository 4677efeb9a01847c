#!/bin/bash
# How long tokens take at one rate of requests after another: a table, and a plot where there is gnuplot.
# usage: rates.sh BENCH_SERVE OUT "RATE..." SECONDS [flags of bench_serve]...
#        rates.sh build/perf/serve_load/bench_serve out "1 2 4 8" 60 --random-input-len 512 --random-output-len 128
# Each rate is kept up for SECONDS, with prompts of its own, as a server still has those of the rate before. OUT.jsonl
# gets a line of results for each, OUT.tsv the table, OUT.png the plot.
set -euo pipefail
bench=$1 out=$2 rates=$3 seconds=$4
shift 4
: >"$out.jsonl"
seed=0
for rate in $rates; do
  seed=$((seed + 1))
  count=$(awk -v r="$rate" -v s="$seconds" 'BEGIN { printf "%d", r * s < 1 ? 1 : r * s }')
  rm -f "$out.one"
  "$bench" --request-rate "$rate" --num-prompts "$count" --seed "$seed" --ignore-eos --result-filename "$out.one" "$@" >&2 ||
    [ -s "$out.one" ]  # some requests failed: their number is among the results
  cat "$out.one" >>"$out.jsonl"
done
rm -f "$out.one"
jq -rs '["rate", "done/s", "tok/s", "ttft_p50", "ttft_p99", "itl_p50", "itl_p99"],
        (.[] | [.request_rate, .request_throughput, .output_throughput, .median_ttft_ms, .p99_ttft_ms, .median_itl_ms,
                .p99_itl_ms] | map(. * 100 | round / 100)) | @tsv' "$out.jsonl" >"$out.tsv"
if command -v column >/dev/null; then column -t "$out.tsv"; else cat "$out.tsv"; fi
if command -v gnuplot >/dev/null; then
  gnuplot -e "table = '$out.tsv'; image = '$out.png'" "$(dirname "$0")/rates.gnuplot"
fi
