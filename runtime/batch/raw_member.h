#pragma once
#include <string_view>

namespace ll {

// The text of a member of a JSON object, as it stands there, found without parsing what is around
// it; the first of that name. Empty where there is none and where the text is no object. Names with
// escapes are not found.
std::string_view raw_member(std::string_view object, std::string_view name);

}  // namespace ll
