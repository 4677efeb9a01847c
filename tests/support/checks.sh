# Of shell tests, which source it: says what is so and counts what is not.
failed=0
log=/dev/null  # a check that fails shows how its lines begin
check() {  # WHAT COMMAND...
  local what=$1
  shift
  if "$@"; then echo "ok      $what"; else echo "FAILED  $what"; failed=1; cut -c1-300 "$log"; fi
}
leave() {  # FOLDER: removes what was made, if all is well
  [ $failed = 0 ] && rm -rf "$1" || echo "left for a look: $1"
}
