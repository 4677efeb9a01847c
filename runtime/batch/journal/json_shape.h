#pragma once
#include <string_view>

namespace ll {

// Whether a text is one JSON object from its first byte to its last: strings and brackets close,
// members and elements follow each other as they must, no control characters. What a number, an
// escape or a byte of UTF-8 may look like is not checked, so that it takes a second a GB, where a
// parser takes ten: enough to tell what a program wrote from what a crash left of it.
bool is_whole_object(std::string_view text);

}  // namespace ll
