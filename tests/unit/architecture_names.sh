#!/bin/bash
# What docs/architecture.md names exists: every `folder/file.h`, and every `Class::function()` in the first file that
# follows it in parentheses.
# usage: architecture_names.sh REPOSITORY
set -u
cd "$1" || exit 1
text=docs/architecture.md
bad=0
# One name a line, in the order of the text.
names=$(grep -oE '`[^` ]+`' "$text" | tr -d '`' | grep -E '\(\)$|^[a-z_]+/.*\.[a-z]+$')
[ "$(wc -l <<< "$names")" -gt 20 ] || { echo "$text: names fewer functions and files than it should"; exit 1; }
functions=()
while read -r name; do
  if [[ $name == *'()' ]]; then
    functions+=("${name%()}")
    continue
  fi
  [ -f "$name" ] || { echo "$text: $name does not exist"; bad=1; functions=(); continue; }
  for function in "${functions[@]}"; do
    grep -qE "(^|[^A-Za-z_])$function\(" "$name" || { echo "$text: no $function() in $name"; bad=1; }
  done
  functions=()
done <<< "$names"
[ ${#functions[@]} -eq 0 ] || { echo "$text: ${functions[*]}: no file follows"; bad=1; }
exit $bad
