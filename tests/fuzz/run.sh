#!/bin/bash
# Runs every fuzz target for some seconds from its seeds in tests/fuzz/corpus, as many at a time as
# there are cores; NAME.dict, where there is one, has words of its language. What it finds is left beside the target's log in BUILD/fuzz.
# usage: run.sh BUILD [SECONDS]
set -u
build=$1 seconds=${2:-30}
here=$(cd "$(dirname "$0")" && pwd)
logs=$build/fuzz
mkdir -p "$logs"
fuzz() {
  local target=$1 name=${1##*/fuzz_}
  local found=$logs/$name
  local words=()
  [ -e "$here/$name.dict" ] && words=("-dict=$here/$name.dict")
  mkdir -p "$found"
  "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=16384 -verbosity=0 "${words[@]}" \
    -artifact_prefix="$found/" "$found" "$here/corpus/$name" >"$logs/$name.log" 2>&1 && return
  echo "fuzz_$name: FAILED"
  tail -n 40 "$logs/$name.log"
  return 1
}
export -f fuzz
export logs here seconds
targets=("$build"/tests/fuzz/fuzz_*)
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}' || exit 1
echo "${#targets[@]} fuzz targets, $seconds s each: nothing found"
