#pragma once
#include <string>
#include <string_view>

namespace ll {

// A part of a URL with its escapes (%2F) read.
std::string url_decoded(std::string_view text);
// "ID", part number 2 of "/v1/files/ID/content"; empty where it is not there.
std::string path_part(std::string_view path, size_t number);
// The value of a field of a query, "limit=2&after=x"; empty where it is not there.
std::string query_value(std::string_view query, std::string_view name);

}  // namespace ll
