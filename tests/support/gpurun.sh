#!/bin/bash
# Runs a test program on N GPUs of this machine; exit code 77 (skipped) when there are fewer, or,
# where LITELANG_SHARE_GPUS=1 lets ranks take turns, fewer than half as many.
# usage: gpurun.sh N PROGRAM [ARGUMENTS]
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
room=$gpus
[ "${LITELANG_SHARE_GPUS:-0}" = 1 ] && room=$((2 * gpus))
if [ "$room" -lt "$1" ]; then
  echo "needs $1 GPUs, here are $gpus"
  exit 77
fi
export LITELANG_TEST_BACKEND=cuda
exec "$(dirname "$0")/mpirun.sh" "$@"
