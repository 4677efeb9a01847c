#!/bin/bash
# Runs clang-tidy on the sources a build compiles, as many at a time as there are cores; headers are
# checked through them. Prints what it finds and fails when it finds something.
# usage: check_tidy.sh BUILD [FOLDER]...   default: all folders but tests
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
shift
folders=("${@:-base kernels parallel model runtime launcher perf}")
tidy=$(command -v clang-tidy-16 || command -v clang-tidy) || {
  echo "check_tidy: clang-tidy is missing; cmake/install_dependencies.sh tidy installs it" >&2
  exit 1
}
mapfile -t files < <(sed -n 's|^ *"file": "'"$PWD"'/\(.*\.cpp\)".*|\1|p' "$build/compile_commands.json" |
  grep -E "^($(echo "${folders[*]}" | tr ' ' '|'))/" | sort -u)
[ ${#files[@]} -gt 0 ] || { echo "check_tidy: $build compiles nothing of ${folders[*]}" >&2; exit 1; }
check() {
  local found
  found=$("$1" --quiet -p "$2" "$3" 2>/dev/null) && [ -z "$found" ] && return
  echo "$found"
  return 1
}
export -f check
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -I{} bash -c 'check "$@"' _ "$tidy" "$build" {} ||
  { echo "check_tidy: clang-tidy found the above" >&2; exit 1; }
echo "check_tidy: ${#files[@]} files, nothing found"
