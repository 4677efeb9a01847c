#pragma once
#include <string_view>

namespace ll {

// Throws Error (usage) when a second YAML document begins in `text`; `where` names the file.
// Returns whether there is anything but comments. (yaml-cpp's LoadAll would tell, but does not come
// to an end on a stray comma.)
bool check_one_document(std::string_view text, std::string_view where);

}  // namespace ll
