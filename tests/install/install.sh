#!/bin/bash
# Installs a build, moves the tree elsewhere and uses it from there, as a user does: version, a conversion, an answer.
# usage: install.sh BUILD REPOSITORY
set -euo pipefail
build=$1 repository=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "install: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/staged" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "cmake --install failed"; }
mv "$work/staged" "$work/moved"
prefix=$work/moved
for file in doc/litelang/LICENSE doc/litelang/README.md litelang/configs/{batch,reference}.yaml \
            litelang/configs/requests.jsonl bash-completion/completions/litelang{,-run,-convert}; do
  [ -s "$prefix/share/$file" ] || fail "share/$file is missing"
done
[ "$(find "$prefix/share/modulefiles/litelang" -type f | wc -l)" = 1 ] || fail "no modulefile"
for program in "$prefix"/bin/*; do
  readelf -d "$program" | grep -E 'R(UN)?PATH' | grep -F "$build" && fail "$program looks for libraries in the build"
done

unset LD_LIBRARY_PATH
export PATH=$prefix/bin:$PATH
if command -v help2man >/dev/null; then
  for command in '' -run $(litelang --help | sed -nE 's/^  ([a-z]+) .*/-\1/p'); do
    [ -s "$prefix/share/man/man1/litelang$command.1" ] || fail "no man page of litelang$command"
  done
fi

cd "$work"
litelang version >version
grep -qE '^litelang [0-9.]+ \(' version || fail "litelang version begins with $(head -n 1 version)"
for name in CPU MPI HDF5; do grep -qE "^$name +[^ ]+" version || fail "litelang version does not know $name"; done

cp "$prefix"/share/litelang/configs/batch.yaml .
head -n 2 "$prefix"/share/litelang/configs/requests.jsonl >requests.jsonl
litelang convert --quiet "$repository/tests/data/models/tiny-qwen2-docs" model.h5 >/dev/null
HWLOC_HIDE_ERRORS=2 litelang batch --config batch.yaml --backend cpu --set threads=1 2>log || { cat log >&2; fail "no answers"; }
[ "$(grep -c '"text":"[^"]' answers.jsonl)" = 2 ] || { cat answers.jsonl >&2; fail "2 answers with text are wanted"; }
