#!/bin/bash
# Lists the files whose format differs from .clang-format's, or formats them.
# usage: check_format.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/.."
formatter=$(command -v clang-format-14 || command -v clang-format) || {
  echo "check_format: clang-format is missing; cmake/install_dependencies.sh format installs it" >&2
  exit 1
}
mapfile -t files < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' '*.inl')
[ ${#files[@]} -gt 0 ] || { echo "check_format: git lists no sources of $PWD" >&2; exit 1; }

if [ "${1:-}" = --fix ]; then
  exec "$formatter" -i "${files[@]}"
fi
differs() {
  "$1" --dry-run -Werror "$2" >/dev/null 2>&1 || echo "$2"
}
export -f differs
offenders=$(printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -I{} bash -c 'differs "$@"' _ "$formatter" {} | sort)
if [ -n "$offenders" ]; then
  echo "$offenders"
  echo "check_format: these differ from .clang-format; make format formats them" >&2
  exit 1
fi
echo "check_format: ${#files[@]} files in order"
