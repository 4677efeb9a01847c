#!/bin/bash
# Includes go one way, launcher -> runtime -> model -> parallel -> kernels -> base, and each library has one door.
# usage: include_direction.sh REPOSITORY
set -u
cd "$1" || exit 1
order=(base kernels parallel model runtime launcher)
bad=0
for ((i = 0; i < ${#order[@]}; ++i)); do
  for ((j = i + 1; j < ${#order[@]}; ++j)); do
    if grep -rnE "^#include \"${order[j]}/" "${order[i]}" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh'; then
      echo "  ^ ${order[i]} may not include ${order[j]}"; bad=1
    fi
  done
done
# door PATTERN ALLOWED...: only the allowed paths (extended regular expressions) may include a header of this pattern
door() {
  local pattern=$1 allowed=$2 hits
  hits=$(grep -rnE "^#include [<\"]$pattern" "${order[@]}" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' | grep -vE "^($allowed)")
  if [ -n "$hits" ]; then echo "$hits"; echo "  ^ only $allowed may include $pattern"; bad=1; fi
}
door 'cublas' 'kernels/cuda/linear'
door 'nccl' 'parallel/nccl/'
door 'mpi\.h' 'parallel/mpi/'
door 'hdf5' 'model/files/'
door 'yaml-cpp' 'runtime/config/'
door '(httplib|microhttpd|event2)' 'runtime/server/'
door 'pcre2' 'model/text/pre_tokenizer'
door 'utf8proc' 'model/text/pre_tokenizer'
door 'dnnl|oneapi' 'kernels/cpu/onednn_'
door 'CLI/' 'launcher/'
for header in $(find "${order[@]}" -name '*.h'); do
  if grep -nE '^#include [<"](nlohmann|yaml-cpp|hdf5|mpi\.h|nccl|cublas|cuda|dnnl|pcre2|utf8proc|CLI/)' "$header" | grep -q . && [[ $header != kernels/cuda/* && $header != parallel/mpi/mpi_handle.h && $header != parallel/nccl/nccl_check.h ]]; then
    echo "$header: a third-party type in a public header"; bad=1
  fi
done
exit $bad
