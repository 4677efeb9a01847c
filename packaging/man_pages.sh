#!/bin/bash
# Makes the man pages of the programs and of litelang's commands from their own --help, with help2man.
# usage: man_pages.sh PROGRAMS FOLDER
set -euo pipefail
programs=$(cd "$1" && pwd) folder=$2
version=$("$programs/litelang" --version | cut -d' ' -f2)
mkdir -p "$folder"
rm -f "$folder"/litelang*.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH=$programs:$PATH

# The page NAME of what "COMMAND --help" prints; WHAT is its line in lists of pages.
page() {
  local name=$1 command=$2 what=$3
  shift 3
  help2man --no-info --version-string "$version" --source "litelang $version" --name "$what" \
    --include "$work/see_also" "$@" "$command" |
    sed -E -e "s/^\.TH [A-Z-]+/.TH ${name^^}/" -e "/^\.SH NAME/{n;s/^.* \\\\- /${name//-/\\\\-} \\\\- /}" \
      >"$folder/$name.1"
  grep -q '^\.SH SYNOPSIS' "$folder/$name.1" || { echo "man_pages: $command --help has no usage" >&2; exit 1; }
}

commands=$(litelang --help | sed -nE 's/^  ([a-z]+) +(.*)/\1 \2/p')
[ -n "$commands" ] || { echo "man_pages: litelang --help lists no commands" >&2; exit 1; }
{
  echo '[SEE ALSO]'
  printf '.BR litelang (1),\n.BR litelang\\-run (1)'
  while read -r name _; do printf ',\n.BR litelang\\-%s (1)' "$name"; done <<<"$commands"
  echo
} >"$work/see_also"

page litelang litelang "$(litelang --help | sed -n '1s/^[^:]*: //p')"
while read -r name what; do page "litelang-$name" "litelang $name" "$what"; done <<<"$commands"

# The keys stand in a section of their own, line by line as they are in a file.
cat >"$work/litelang-run" <<EOF
#!/bin/bash
"$programs/litelang-run" "\$@" | sed '/^Keys and their defaults/,\$d'
EOF
chmod +x "$work/litelang-run"
{
  printf '[KEYS]\n.nf\n'
  litelang-run --print_reference | sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\([.']\)/\\\\\&\1/"
  echo .fi
} >"$work/keys"
page litelang-run "$work/litelang-run" 'what every rank runs, under mpirun or srun' --include "$work/keys"
