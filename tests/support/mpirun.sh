#!/bin/bash
# Runs a test program on N ranks of this machine, each with its share of the threads.
# usage: mpirun.sh N PROGRAM [ARGUMENTS]
n=$1; shift
export OMP_NUM_THREADS=$(( $(nproc) / n > 0 ? $(nproc) / n : 1 ))
# A thread that waits must not hold a core that others need.
export OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1  # ranks may share processors
exec mpirun -np "$n" --oversubscribe --bind-to none "$@"
