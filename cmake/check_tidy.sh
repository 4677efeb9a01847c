#!/bin/bash
# Runs clang-tidy on the sources a build compiles, as many at a time as there are cores; headers are checked through them.
# Prints what it finds and fails when it finds something. Most of its time goes into headers, so the files of a library are
# checked together, as one file that has the text of them all; those that name things like others do make a further part.
# Where a part finds something, its halves are looked at, down to the single file: what is found there counts.
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
# A line per group of files of one top folder that are compiled with the same flags: the flags, tab, and the files.
jq -r --arg root "$PWD/" --argjson programs "$programs" --argjson united "$united" \
  --arg folders "^($(echo "${folders[*]}" | tr ' ' '|'))/" '
  def name: .file | ltrimstr($root);
  [.[] | . as $compiled | ($united[.file] // [.file])[]
   | {file: ., flags: ($compiled.command | gsub("^[^ ]+| -[oc] [^ ]+"; ""))}
   | select((.file | startswith($root) and endswith(".cpp")) and (name | test($folders)))]
  | unique_by(.file) | group_by([if IN(.file; $programs[]) then .file else name | sub("/.*"; "") end, .flags])
  | .[] | "\(.[0].flags)\t\(map(.file) | join(" "))"' "$build/compile_commands.json" >"$work/groups"
num_files=$(cut -f2 "$work/groups" | wc -w)
[ "$num_files" -gt 0 ] || { echo "check_tidy: $build compiles nothing of ${folders[*]}" >&2; exit 1; }

examine() {  # FLAGS CHECKS FILE: what clang-tidy finds
  eval '"$tidy" --quiet --config-file=.clang-tidy --checks="$2" --header-filter="$headers" "$3" -- '"$1" 2>/dev/null
}
# The group's parts: a line each, the flags, tab, and the files. Those where a compiler sees an error make the next part.
split_group() {
  local flags=$1 files=$2 united apart together
  united=$(mktemp -p "$work" --suffix .cpp)
  while [ "$(wc -w <<<"$files")" -gt 1 ]; do
    printf '#include "%s"\n' $files >"$united"
    apart=$(examine "$flags -ferror-limit=0" '-*,bugprone-terminating-continue' "$united" | grep -oP "^$PWD/[^:]+\.cpp(?=:.* error: )" | sort -u)
    together=$(grep -vxF "${apart:-none}" <(printf '%s\n' $files))
    [ -n "$together" ] || break
    printf '%s\t%s\n' "$flags" "$(echo $together)"
    files=$apart
  done
  for file in $files; do
    printf '%s\t%s\n' "$flags" "$file"
  done
}
check_part() {
  local flags=$1 files=($2) found part half
  half=$((${#files[@]} / 2))
  if [ "$half" = 0 ]; then
    found=$(examine "$flags" '' "${files[0]}") && [ -z "$found" ] && return
    echo "$found"
    return 1
  fi
  part=$(mktemp -p "$work" --suffix .cpp)
  cat "${files[@]}" >"$part"
  found=$(examine "$flags" '' "$part") && [ -z "$found" ] && return
  check_part "$flags" "${files[*]:0:half}"
  local first=$?
  check_part "$flags" "${files[*]:half}" && return "$first"
}
# What misc-unused-using-decls overlooks: it takes a use by another file of the part, even by the name in full, for one.
unused_usings() {
  local file line text name
  { cut -f2 "$work/groups" | tr ' ' '\n' | xargs grep -HnE '^using [A-Za-z0-9_:]+;' || true; } |
    while IFS=: read -r file line text; do
      name=$(grep -oE '[A-Za-z0-9_]+;' <<<"$text")
      [ "$(grep -cw "${name%;}" "$file")" -gt 1 ] || echo "$file:$line: error: not used: $text"
    done
}
# Runs a function for each line of its input, whose two columns are its arguments.
each_line() {
  xargs -P "$(nproc)" -d '\n' -I{} bash -c 'IFS=$'"'\\t'"' read -r flags files <<<"$2"; "$1" "$flags" "$files"' _ "$1" {}
}
export -f examine split_group check_part
export tidy work headers="^$PWD/(base|kernels|parallel|model|runtime|launcher|perf)/.*\\.(h|inl)$"
each_line split_group <"$work/groups" >"$work/parts"
bad=0
awk '{print NF "\t" $0}' "$work/parts" | sort -nr | cut -f2- | each_line check_part || bad=1
found=$(unused_usings)
[ -z "$found" ] || { echo "$found"; bad=1; }
[ "$bad" = 0 ] || { echo "check_tidy: clang-tidy found the above" >&2; exit 1; }
echo "check_tidy: $num_files files, nothing found"
