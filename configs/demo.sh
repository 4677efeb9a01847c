#!/bin/bash
# The demonstration: a Hugging Face folder becomes a weight file, which two ranks then run.
# usage: demo.sh BUILD, from the repository's root
set -euo pipefail
PATH=$PWD/$1/launcher:$PATH
mkdir -p build/demo
# mpirun refuses root and more ranks than cores unless it is told.
export HWLOC_HIDE_ERRORS=2  # containers may lack /sys
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
say() { printf '\n%s\n' "$*"; }
run() { say "\$ $*"; "$@"; }

say '1. A weight file of a small Qwen2, trained on the documentation of Linux, Git, PostgreSQL and others:'
run litelang-convert --overwrite tests/data/models/tiny-qwen2-docs build/demo/tiny-qwen2-docs.h5

say "2. Two ranks share the model and answer the $(wc -l <configs/demo.jsonl) requests of configs/demo.jsonl:"
run mpirun -np 2 litelang-run configs/demo.yaml

say '3. Some of the answers in build/demo/answers.jsonl (7 million parameters know grammar, not facts):'
if command -v jq >/dev/null; then
  for id in borrow fork debian-1; do
    printf '\n'
    jq -rs --arg id $id '.[] | select(.custom_id == $id).body.prompt' configs/demo.jsonl
    jq -rs --arg id $id '.[] | select(.custom_id == $id).response.body.choices[0].text | "    >" + .' build/demo/answers.jsonl
  done
else
  head -n 3 build/demo/answers.jsonl
fi
say 'Your own model: litelang-convert HF_DIR MODEL.h5, then litelang batch -m MODEL.h5 -i IN.jsonl -o OUT.jsonl --tp RANKS'
