#pragma once
#include <string>
#include <string_view>

namespace ll::jinja {

// datetime.now().strftime(format): local time; the time of the environment variable
// SOURCE_DATE_EPOCH, in UTC, where that is set.
std::string format_now(std::string_view format);

}  // namespace ll::jinja
