#!/bin/bash
# Runs clang-tidy on the sources a build compiles, as many at a time as there are cores; headers are checked through them.
# Prints what it finds and fails when it finds something. Most of its time goes into headers, so the files of a folder are
# checked together, as one file that includes them all; where they do not compile so (two have a name in common), one by one.
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
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the build compiles together (cmake/unity.cmake): {"FILE": [the sources that it includes]}.
united=$(find "$build" -path '*/Unity/unity_*.cxx' -exec grep -H '^#include "' {} + |
  jq -Rn --arg here "$PWD/" 'def here: if startswith("/") then . else $here + . end;
    reduce (inputs | capture("^(?<file>[^:]+):#include \"(?<source>.*)\"$")) as $one
    ({}; .[$one.file | here] += [$one.source | here])')
programs=$(git grep -lE '^int main\(' -- '*.cpp' | jq -Rn --arg root "$PWD/" '[$root + inputs]')
# A line per group of files that lie in one folder and are compiled with the same flags: its number, tab, and the files.
# $work/compile_commands.json has a command for each group's file, N.cpp, and for each file alone.
jq --arg root "$PWD/" --argjson programs "$programs" --argjson united "$united" --arg folders "^($(echo "${folders[*]}" | tr ' ' '|'))/" --arg work "$work" '
  def name: .file | ltrimstr($root);
  def flags: .command | gsub(" -[oc] [^ ]+"; "");
  [.[] | .command as $command | .file as $file | ($united[$file] // [$file])[] as $source
   | .file = $source | .command = ($command | split($file) | join($source)) | select((.file | startswith($root) and endswith(".cpp")) and (name | test($folders)))]
  | unique_by(.file) | group_by([if IN(.file; $programs[]) then .file else name | sub("/[^/]*$"; "") end, flags]) | to_entries
  | map("\($work)/\(.key).cpp" as $file
      | {key, files: (.value | map(.file)),
         commands: ([.value[0] | .command = "\(flags) -c \($file)" | .file = $file] + .value)})' \
  "$build/compile_commands.json" >"$work/groups.json"
jq '[.[].commands[]]' "$work/groups.json" >"$work/compile_commands.json"
jq -r '.[] | "\(.key)\t\(.files | join(" "))"' "$work/groups.json" >"$work/groups"
num_files=$(cut -f2 "$work/groups" | wc -w)
[ "$num_files" -gt 0 ] || { echo "check_tidy: $build compiles nothing of ${folders[*]}" >&2; exit 1; }
while IFS=$'\t' read -r key files; do
  printf '#include "%s"\n' $files >"$work/$key.cpp"
done <"$work/groups"

examine() {  # CHECKS FILE: what clang-tidy finds
  "$tidy" --quiet --config-file=.clang-tidy --checks="$1" --header-filter="^$PWD/(${sources})/.*\\.(h|inl|cpp)$" -p "$work" "$2" 2>/dev/null
}
check_group() {
  local files=$1 key=$2 found file bad=0
  if [ "$(wc -w <<<"$files")" -gt 1 ]; then
    found=$(examine '-bugprone-suspicious-include' "$work/$key.cpp") && [ -z "$found" ] && return
    # Findings are looked at again below, where each file stands for itself.
  fi
  for file in $files; do
    found=$(examine '' "$file") && [ -z "$found" ] && continue
    echo "$found"
    bad=1
  done
  return $bad
}
export -f examine check_group
export tidy work sources='base|kernels|parallel|model|runtime|launcher|perf'
sort -t$'\t' -k2 "$work/groups" | xargs -P "$(nproc)" -d '\n' -I{} bash -c 'IFS=$'"'\\t'"' read -r key files <<<"$1"; check_group "$files" "$key"' _ {} ||
  { echo "check_tidy: clang-tidy found the above" >&2; exit 1; }
echo "check_tidy: $num_files files, nothing found"
