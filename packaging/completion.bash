# bash completion of litelang, litelang-run and litelang-convert. It asks the programs what they take, so that there is
# no list in here that could be another than theirs.

# Names in the N-th list of a help text: "  batch      answer a file of requests".
_litelang_names() {
  local list=$1
  shift
  "$@" --help 2>/dev/null | awk -v list="$list" '
    /^  [a-z]/ { if (!inside++) ++lists; if (lists == list) print $1; next }
    { inside = 0 }'
}

# Options of a help text, of all their names: "  -m,--model,--model_path     ...".
_litelang_options() {
  "$@" --help 2>/dev/null | awk '/^  -/ { n = split($1, names, ","); for (i = 1; i <= n; ++i) print names[i] }'
}

# Keys of the configuration, from the reference: sections, their keys two blanks to the right; some in comments.
_litelang_keys() {
  "$@" --print_reference 2>/dev/null | awk '
    { sub("^#", ""); name = $1; sub(":.*", "", name) }
    /^[a-z][a-z_]*: *$/ { section = name "."; next }
    /^[a-z][a-z_]*: / { print name "="; next }
    /^  [a-z][a-z_]*:/ { print section name "=" }'
}

_litelang() {
  local current=$2 previous=$3 words
  local program=${COMP_WORDS[0]/#\~/$HOME}
  local asked=("$program") runner=${program%litelang*}litelang-run
  COMPREPLY=()
  if [[ ${program##*/} == litelang ]]; then
    [[ $COMP_CWORD -gt 1 ]] && asked+=("${COMP_WORDS[1]}")
    [[ $COMP_CWORD -gt 2 && ${COMP_WORDS[1]} == bench ]] && asked+=("${COMP_WORDS[2]}")
  fi
  if [[ $previous == --set ]]; then
    words=$(_litelang_keys "$runner")
    compopt -o nospace 2>/dev/null || true  # a value follows
  elif [[ $previous == --preset ]]; then
    words=$(_litelang_names 2 "$program" bench)
  elif [[ ${#asked[@]} == 1 && ${program##*/} == litelang ]]; then
    words="$(_litelang_names 1 "$program") --help --version"
  elif [[ $current == -* ]]; then
    words=$(_litelang_options "${asked[@]}")
  elif [[ $COMP_CWORD == 2 && ${asked[1]} == bench ]]; then
    words=$(_litelang_names 1 "$program" bench)
  else
    return 0  # a file, which bash knows better
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o default -F _litelang litelang litelang-run litelang-convert
