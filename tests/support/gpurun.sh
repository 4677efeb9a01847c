#!/bin/bash
# Runs a test program on N GPUs of this machine; exit code 77 (skipped) when there are fewer, unless
# LITELANG_SHARE_GPUS=1 lets ranks take turns.
# usage: gpurun.sh N PROGRAM [ARGUMENTS]
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
if [ "$gpus" -lt "$1" ] && [ "$gpus" = 0 -o "${LITELANG_SHARE_GPUS:-0}" != 1 ]; then
  echo "needs $1 GPUs, here are $gpus"
  exit 77
fi
export LITELANG_TEST_BACKEND=cuda
exec "$(dirname "$0")/mpirun.sh" "$@"
