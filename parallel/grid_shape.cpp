#include "parallel/grid_shape.h"

#include <fmt/core.h>

namespace ll {

std::string GridShape::str() const {
  std::string text = fmt::format("dp {} x {} y {} z {}", dp, x, y, z);
  return heads > 0 ? text + fmt::format(" heads {}", heads) : text;
}

GridPlace place_of(const GridShape& shape, int rank) {
  return {rank / shape.replica_size(), rank / shape.x % shape.columns(), rank % shape.x};
}

}  // namespace ll
