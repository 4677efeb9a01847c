#pragma once
// Where a text stands in another, in time that grows with the sum of their sizes: with that of
// std::string_view's own functions, which grows with the product, a short template would never end.
#include <cstddef>
#include <string_view>

namespace ll::jinja {

// The first place from `from` on; npos where there is none. Counts steps of the rendering.
size_t find_text(std::string_view text, std::string_view wanted, size_t from = 0);
// The last place.
size_t find_last_text(std::string_view text, std::string_view wanted);

}  // namespace ll::jinja
