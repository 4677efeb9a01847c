#!/bin/bash
# Several "hosts" on one machine: network namespaces at a switch that has one of its own. Each host has its name, its
# address 10.99.0.N and, but for the first, its own empty /tmp, in which $HOST_SETUP, a shell command, is run first.
# usage: netns_hosts.sh start NAME HOSTS | stop NAME | on NAME HOST COMMAND... | rsh NAME ADDRESS COMMAND
# `rsh` is for Open MPI: OMPI_MCA_plm_rsh_agent="netns_hosts.sh rsh NAME". It needs root and iproute2.
set -eu
command=$1 name=$2
shift 2

on() {
  local host=$1
  shift
  exec ip netns exec "$name-$host" unshare --uts --mount bash -c '
    hostname "$0"
    if [ "$1" != 1 ]; then
      mount -t tmpfs tmpfs /tmp
      eval "${HOST_SETUP:-}"
    fi
    shift
    exec "$@"' "$name-host$host" "$host" "$@"
}

case $command in
  start)
    ip netns add "$name-hub"
    ip -n "$name-hub" link add hub type bridge
    ip -n "$name-hub" link set hub up
    for host in $(seq "$1"); do
      ip netns add "$name-$host"
      ip -n "$name-hub" link add "port$host" type veth peer name net0 netns "$name-$host"
      ip -n "$name-hub" link set "port$host" master hub up
      ip -n "$name-$host" addr add "10.99.0.$host/24" dev net0
      ip -n "$name-$host" link set net0 up
      ip -n "$name-$host" link set lo up
    done
    ;;
  stop)
    for space in $(ip netns list | awk '{print $1}'); do
      case $space in "$name"-*) ip netns del "$space" ;; esac
    done
    ;;
  on) on "$@" ;;
  rsh)
    address=$1
    shift
    on "${address##*.}" bash -c "$*"
    ;;
esac
