#pragma once
// The tokens of a Jinja template, so that two templates can be compared whatever their line breaks,
// quotes and spelling of subscripts. Nothing here runs a template.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ll {

// Under transformers' settings (trim_blocks, lstrip_blocks): names, numbers and operators as they
// are,
// "{%", "%}", "{{", "}}" without their dashes, `a['b']` as a . b, string literals as "'" and their
// value, text between blocks as "#" and what is printed of it. Comments are gone. Nothing when the
// template is cut off or has an escape other than \n \t \r \\ \' \".
std::optional<std::vector<std::string>> jinja_tokens(std::string_view source);

}  // namespace ll
