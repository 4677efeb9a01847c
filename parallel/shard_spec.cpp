#include "parallel/shard_spec.h"

#include <algorithm>

#include "base/check.h"
#include "base/numbers.h"

namespace ll {

Range split(int64_t extent, int64_t parts, int64_t index, int64_t unit) {
  ensure(extent >= 0 && parts > 0 && unit > 0 && index >= 0 && index < parts,
         "split: bad arguments");
  int64_t units = ceil_div(extent, unit);
  auto first = [&](int64_t i) {
    return std::min((units / parts * i + std::min(i, units % parts)) * unit, extent);
  };
  return {first(index), first(index + 1) - first(index)};
}

}  // namespace ll
