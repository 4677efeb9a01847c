#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace ll {

// The name with the least edit distance to `wanted`, for "did you mean"; empty when none is near.
std::string nearest_name(std::string_view wanted, const std::vector<std::string>& names);

}  // namespace ll
