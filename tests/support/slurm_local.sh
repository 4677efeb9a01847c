#!/bin/bash
# A Slurm of this machine alone, without systemd: its daemons and all they write are under one folder.
# usage: slurm_local.sh start FOLDER CPUS | stop FOLDER        (then: export SLURM_CONF=FOLDER/slurm.conf)
# Debian: slurm-wlm munge. It needs root.
set -eu
command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
host=$(hostname -s)

write_configuration() {
  local cpus=$1 port=$((20000 + $$ % 10000 * 2))
  cat > "$folder/slurm.conf" <<C
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munged.sock
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
OverTimeLimit=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C
}

case $command in
  start)
    mkdir -p "$folder"/{state,spool,log,munge}
    chmod 711 "$folder"
    chmod 700 "$folder/munge"
    dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
    chmod 400 "$folder/munge/key"
    write_configuration "$3"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munged.sock" \
      --pid-file="$folder/munged.pid" --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed"
    export SLURM_CONF=$folder/slurm.conf
    slurmctld
    slurmd -N "$host"
    for _ in $(seq 100); do
      timeout 5 sinfo -h -o %T 2>/dev/null | grep -q idle && exit 0
      sleep 0.2
    done
    echo "slurm_local: the node does not become idle; see $folder/log" >&2
    exit 1
    ;;
  stop)
    for daemon in slurmd slurmctld munged; do
      [ -f "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true
    done
    ;;
esac
