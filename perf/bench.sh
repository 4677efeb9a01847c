#!/bin/bash
# Speed on this machine's CPU, each figure beside the floor measured in the same run.
# usage: bench.sh BUILD, from the repository's root
set -euo pipefail
bench=$1/perf
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
say() { printf '\n%s\n' "$*"; }

say 'A model of the shape of Qwen2.5-0.5B with random weights, bfloat16, one rank:'
"$bench/bench_cpu_model" perf/models/qwen2.5-0.5b

say "Tokenizer of Qwen2.5 on English text, one thread (to reach: encode 2 MB/s):"
"$bench/bench_tokenizer" tests/data/tokenizers/qwen2.5/tokenizer.json \
  tests/data/models/tiny-qwen2-docs/held_out.txt

say "Chat template of Qwen2.5, one thread (to reach: 1 s):"
"$bench/bench_templates" tests/data/tokenizers/qwen2.5/tokenizer_config.json

say "What answers cost beside a step of 256 rows, one thread:"
"$bench/bench_answers" tests/data/tokenizers/qwen2.5/tokenizer.json

for np in 1 2; do
  say "What a step costs besides the model, $np rank(s) (to reach: 200 us at 256 sequences):"
  mpirun -np $np "$bench/bench_scheduler" 256
done
