#!/bin/bash
# The modulefile finds the prefix it was installed in. Skipped (77) where there is no Tcl.
# usage: modulefile.sh REPOSITORY
set -euo pipefail
command -v tclsh >/dev/null || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "modulefile: $*" >&2; exit 1; }
file=$work/prefix/share/modulefiles/litelang/1.2.3
mkdir -p "${file%/*}" "$work/prefix/bin"
cp "$1/packaging/modulefile" "$file"

# What the two tools give a modulefile, as far as it matters here.
cat >"$work/load" <<'TCL'
set ModulesCurrentModulefile [lindex $argv 0]
proc prepend-path {name value} { puts "$name=$value" }
proc append-path {name value} { puts "$name+=$value" }
proc module-whatis {text} { puts "whatis=$text" }
proc conflict {name} { puts "conflict=$name" }
foreach once {1} { source $ModulesCurrentModulefile }
TCL
load() { tclsh "$work/load" "$file" 2>&1; }

grep -q "bin has no litelang" <(load) || fail "it does not notice that there is no litelang: $(load)"
touch "$work/prefix/bin/litelang"
chmod +x "$work/prefix/bin/litelang"
for line in "PATH=$work/prefix/bin" "MANPATH=$work/prefix/share/man" "conflict=litelang" "whatis=litelang 1.2.3: .*"; do
  grep -qx "$line" <(load) || fail "no $line in: $(load)"
done
