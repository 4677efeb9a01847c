#!/bin/bash
# Lists the files whose format differs from .clang-format's or that have braces round a single statement, or mends them.
# Names what no formatter mends, too: locals that are const by value, comments that begin with "Of" and lack their noun.
# usage: check_format.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/.."
formatter=$(command -v clang-format-14 || command -v clang-format) || {
  echo "check_format: clang-format is missing; cmake/install_dependencies.sh format installs it" >&2
  exit 1
}
mapfile -t files < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' '*.inl')
[ ${#files[@]} -gt 0 ] || { echo "check_format: git lists no sources of $PWD" >&2; exit 1; }

const_local='^ +(for \()?const [^&*(){};="]+ (\[[^]]*\]|[a-z_0-9]+)( = |\{| : |\(|\[)'
if grep -nE "$const_local|^ *// Of " "${files[@]}" /dev/null; then
  echo "check_format: locals are not const, and a comment says what it is of" >&2
  exit 1
fi

formatted=$(mktemp -d)
trap 'rm -rf "$formatted"' EXIT
cp --parents "${files[@]}" .clang-format "$formatted"
{ cat .clang-format; echo 'RemoveBracesLLVM: true'; } > "$formatted/braceless"
format() {
  (cd "$formatted" && printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 100 "$formatter" -i "$@")
}
format --style="file:braceless"  # first: what removes braces breaks lambdas in ways of its own
format
offenders=$(for file in "${files[@]}"; do cmp -s "$file" "$formatted/$file" || echo "$file"; done)
[ -n "$offenders" ] || { echo "check_format: ${#files[@]} files in order"; exit 0; }
if [ "${1:-}" = --fix ]; then
  while read -r file; do cp "$formatted/$file" "$file"; done <<< "$offenders"
  exit 0
fi
echo "$offenders"
echo "check_format: these differ from .clang-format, or have braces to spare; make format mends them" >&2
exit 1
