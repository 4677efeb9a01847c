#!/bin/bash
# What bash completes of the programs' commands, options and keys.
# usage: completion.sh PROGRAMS REPOSITORY
set -euo pipefail
programs=$1 repository=$2
source "$repository/packaging/completion.bash"
export PATH=$programs:$PATH
fail() { echo "completion: $*" >&2; exit 1; }

# Completes the last of the words, which may be "".
complete_words() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  _litelang "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
}
# completes "WORDS WITHOUT BLANKS" COMPLETIONS... of the last word; a word _ is empty.
completes() {
  local words
  read -ra words <<<"$1"
  complete_words "${words[@]/#_/}"
  shift
  local got="${COMPREPLY[*]}" wanted="$*"
  [ "$got" = "$wanted" ] || fail "${COMP_WORDS[*]}: completes to '$got', not '$wanted'"
}

completes 'litelang b' batch bench
completes 'litelang --v' --version
completes 'litelang batch --mo' --model --model_path
completes 'litelang batch --over' --overwrite
completes 'litelang bench st' startup
completes 'litelang bench latency --num_iters' --num_iters --num_iters_warmup
completes 'litelang bench throughput --preset se' seed-prefill seed-decode
completes 'litelang tokenize --dec' --decode
completes 'litelang batch --set kv_cache.pa' kv_cache.page_size=
completes 'litelang-run --set grid' grid= grid.dp= grid.x= grid.y= grid.z= grid.heads= grid.gather_tokens=
completes "$programs/litelang-run --set job.ty" job.type=
completes 'litelang-run --print' --print_reference
completes 'litelang-convert --ver' --verify --version
completes 'litelang-convert some/fol'

# Nothing is left out: as many keys as the reference has lines with one, every command with its options.
complete_words litelang-run --set ''
lines=$(grep -cE '^#? *[a-z_]+:( |$)' "$repository/configs/reference.yaml")
sections=$(grep -cE '^#?[a-z_]+:$' "$repository/configs/reference.yaml")
[ ${#COMPREPLY[@]} = $((lines - sections)) ] || fail "${#COMPREPLY[@]} keys, the reference has $((lines - sections))"
[ ${#COMPREPLY[@]} -gt 40 ] || fail "${#COMPREPLY[@]} keys: too few"
complete_words litelang ''
for command in "${COMPREPLY[@]}"; do
  [[ $command == -* || $command == bench ]] && continue
  complete_words litelang "$command" --
  case $command in
    version) [ ${#COMPREPLY[@]} = 0 ] ;;
    *) [[ " ${COMPREPLY[*]} " == *' --help '* ]] ;;
  esac || fail "litelang $command: completes to '${COMPREPLY[*]}'"
done
