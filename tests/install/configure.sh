#!/bin/bash
# Who only builds the programs needs no test framework, and no warning of another compiler stops the build.
# usage: configure.sh REPOSITORY GENERATOR
set -euo pipefail
repository=$1 generator=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "configure: $*" >&2; exit 1; }
configure() {
  cmake -S "$repository" -B "$work/build" -G "$generator" -DLITELANG_CUDA=OFF -DCMAKE_DISABLE_FIND_PACKAGE_doctest=ON \
    "$@" >"$work/log" 2>&1
}

configure -DBUILD_TESTING=OFF || { cat "$work/log" >&2; fail "BUILD_TESTING=OFF does not do without doctest"; }
commands=$work/build/compile_commands.json
grep -q '/launcher/litelang_run.cpp' "$commands" || fail "the programs are not built"
grep -E '/(tests|perf)/[a-z_/]*\.cpp' "$commands" && fail "BUILD_TESTING=OFF builds tests"
grep -F -- -Werror "$commands" && fail "warnings are errors, though nobody asked"

configure -DBUILD_TESTING=ON && fail "doctest was not hidden: this test shows nothing"
grep -q doctest "$work/log" || { cat "$work/log" >&2; fail "failed for another reason than doctest"; }
