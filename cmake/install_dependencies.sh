#!/bin/bash
# Installs the Debian packages that are missing here, through apt; does nothing when all are there.
# usage: install_dependencies.sh [build|format|tidy|fuzz|slurm|cache]...
set -euo pipefail
# Headers of Boost.Beast and Asio: Debian 12 has 1.81 beside an older default, Ubuntu 24.04 1.83.
boost=libboost1.83-dev
grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release && boost=libboost1.81-dev
build=(g++ cmake ninja-build pkg-config git openmpi-bin libopenmpi-dev libhdf5-dev libfmt-dev
       libyaml-cpp-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libcli11-dev doctest-dev
       libdnnl-dev libssl-dev openssl help2man jq "$boost")
format=(git clang-format-14)
tidy=(clang-tidy-16 libomp-16-dev)
slurm=(slurm-wlm munge)
cache=(ccache)
fuzz=(clang-16 libclang-rt-16-dev libomp-16-dev)

wanted=()
for set in "${@:-build}"; do
  case $set in
    build) wanted+=("${build[@]}") ;;
    format) wanted+=("${format[@]}") ;;
    tidy) wanted+=("${tidy[@]}") ;;
    fuzz) wanted+=("${fuzz[@]}") ;;
    slurm) wanted+=("${slurm[@]}") ;;
    cache) wanted+=("${cache[@]}") ;;
    *) echo "install_dependencies: unknown set $set; build, format, tidy, fuzz, slurm or cache" >&2; exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null; then
  echo "install_dependencies: no apt here; what the build needs, by its Debian names: ${wanted[*]}" >&2
  exit 0
fi
missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
    missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing with apt-get: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    # They may be there all the same, from a cluster's modules: CMake says what it cannot find.
    echo "install_dependencies: neither root nor sudo: going on without; as root: apt-get install ${missing[*]}" >&2
    exit 0
  fi
  as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1 </dev/null; }
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
  cat "$log" >&2
  echo "install_dependencies: apt-get failed" >&2
  exit 1
fi
